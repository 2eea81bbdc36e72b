import type { Migration } from './migration.ts';

/**
 * What the collector needs to know beyond the references themselves: whether a manifest was once held by something that
 * is gone, what is pinned, and which uploads are open in a repository; and the log of what happened, which explains what
 * is gone.
 */
export const collectorTables: Migration = {
  number: 3,
  name: 'collector',
  statements: ({ integer, clustered, identity, text }) => [
    // An index or subject that held the manifest is gone: it does not stay as one that never was held.
    `alter table manifest add column released_at ${integer}`,
    `drop index tag_trash_manifest`,
    `create index tag_trash_manifest on tag_trash (manifest)`,
    `create index upload_open on upload (repo, opened_at) where oid is not null`,

    `create table pin (
      repo ${text} not null,
      kind ${text} not null check (kind in ('repository', 'tag', 'manifest')),
      name ${text} not null,
      reason ${text} not null,
      pinned_by ${text} not null,
      pinned_at ${integer} not null,
      primary key (repo, kind, name),
      check ((kind = 'repository') = (name = ''))
    ) ${clustered}`,

    `create table event (
      id ${identity},
      at ${integer} not null,
      kind ${text} not null,
      repo ${text} not null,
      digest ${text},
      tag ${text},
      actor ${text} not null,
      reason ${text},
      bytes ${integer}
    )`,
    `create index event_digest on event (digest, id) where digest is not null`,
    `create index event_tag on event (repo, tag, id) where tag is not null`,
  ],
};
