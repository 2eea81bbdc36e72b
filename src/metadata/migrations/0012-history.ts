import type { Migration } from './migration.ts';

/**
 * What was pushed, removed and pulled, so that retention can be replayed. Both tables stand in the order of time: old
 * rows go from their beginning, and what is written together stands together.
 */
export const history: Migration = {
  number: 12,
  name: 'history',
  statements: ({ integer, clustered, identity, text }) => [
    `create table pull_history (
      day ${integer} not null,
      repo ${text} not null,
      digest ${text} not null,
      tag ${text} not null,
      pulls ${integer} not null check (pulls > 0),
      last_at ${integer} not null,
      primary key (day, repo, digest, tag)
    ) ${clustered}`,

    `create table push_history (
      id ${identity},
      at ${integer} not null,
      repo ${text} not null,
      tag ${text} not null,
      what ${text} not null check (what in ('pushed', 'removed', 'collected')),
      digest ${text} not null,
      was ${text},
      was_pushed_at ${integer},
      was_tagged_at ${integer},
      manifest ${text},
      check ((what = 'collected') = (manifest is not null))
    )`,
    `create index push_history_repository on push_history (repo, id)`,
  ],
};
