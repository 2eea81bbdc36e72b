import type { Migration } from './migration.ts';

/**
 * What the repositories of each quota hold, counted. A number stands for one count of one quota: where a quota begins to
 * be for other repositories it gets a new one, and what was counted under the old one is cleared away.
 */
export const quotas: Migration = {
  number: 11,
  name: 'quotas',
  statements: ({ integer, clustered, identity, text }) => [
    `create table quota (
      number ${identity},
      position ${integer} unique,
      repositories_hash ${text} not null,
      settings ${text} not null,
      phase ${text} not null check (phase in ('links', 'tags', 'complete', 'stale')),
      cursor_repo ${text} not null default '',
      cursor_item ${text} not null default '',
      check ((phase = 'stale') = (position is null))
    )`,
    `create table quota_usage (
      quota ${integer} not null,
      repo ${text} not null,
      bytes ${integer} not null,
      tags ${integer} not null,
      refused_bytes ${integer},
      refused_tags ${integer},
      primary key (quota, repo)
    ) ${clustered}`,
    `create table quota_blob (
      quota ${integer} not null,
      repo ${text} not null,
      digest ${text} not null,
      size_bytes ${integer} not null,
      links ${integer} not null,
      primary key (quota, repo, digest)
    ) ${clustered}`,
  ],
};
