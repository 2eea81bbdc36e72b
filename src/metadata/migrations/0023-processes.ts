import type { Migration } from './migration.ts';

/**
 * The processes that serve one registry, and what they tell each other of purges: which of them finishes one, and which have
 * broken off what they were sending of it. What a process has claimed is free again with its row.
 */
export const processes: Migration = {
  number: 23,
  name: 'processes',
  understoodSince: 21,
  statements: ({ integer, clustered, text }) => [
    `create table process (
      id ${text} not null primary key,
      name ${text} not null,
      beat ${integer} not null default 0
    ) ${clustered}`,
    `alter table purge add column finisher ${text} references process (id) on delete set null`,
    `create index purge_finisher on purge (finisher) where finisher is not null`,
    `create table purge_confirmation (
      purge ${integer} not null references purge (id),
      process ${text} not null references process (id) on delete cascade,
      primary key (purge, process)
    ) ${clustered}`,
    `create index purge_confirmation_process on purge_confirmation (process)`,
  ],
};
