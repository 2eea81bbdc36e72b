import type { Migration } from './migration.ts';

/**
 * Whether the database may have lost what was committed to it: its row goes when that happens, and whoever misses it writes
 * another one. An upload says under which its object has come about.
 */
export const incarnations: Migration = {
  number: 30,
  name: 'incarnations',
  understoodSince: 21,
  statements: ({ emptiedByCrashes, clustered, text }) => [
    `create ${emptiedByCrashes} table incarnation (
      name ${text} not null primary key check (name = 'database'),
      id ${text} not null
    ) ${clustered}`,
    `alter table upload add column incarnation ${text}`,
  ],
};
