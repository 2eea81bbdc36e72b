import type { Migration } from './migration.ts';

/** What lost by a purge what had held it, beside the places of the purge: part of its record, kept for ever. */
export const purgeConsequences: Migration = {
  number: 18,
  name: 'purge consequences',
  statements: ({ integer, clustered, text }) => [
    `create table purge_consequence (
      purge ${integer} not null references purge (id),
      kind ${text} not null check (kind in ('child', 'referrer', 'tag-about')),
      repo ${text} not null,
      digest ${text} not null,
      tag ${text} not null,
      of_digest ${text} not null,
      held_by ${text},
      primary key (purge, kind, repo, digest, tag, of_digest),
      check ((kind = 'tag-about') = (tag <> ''))
    ) ${clustered}`,
  ],
};
