import type { Migration } from './migration.ts';

/** What ties the database to its blob store: a number that both know, and that moves before bytes go (R39). */
export const storeGeneration: Migration = {
  number: 5,
  name: 'store generation',
  statements: ({ integer, clustered }) => [
    `create table store (
      id ${integer} not null primary key check (id = 1),
      generation ${integer} not null
    ) ${clustered}`,
    `insert into store (id, generation) values (1, 0)`,
  ],
};
