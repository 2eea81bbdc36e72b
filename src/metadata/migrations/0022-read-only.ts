import type { Migration } from './migration.ts';

/**
 * One row while nothing may be changed. It is there until somebody takes it away, or, where it has an end, until somebody
 * has renewed it for too long: a row that is there holds, whatever time it is.
 */
export const readOnly: Migration = {
  number: 22,
  name: 'read only',
  understoodSince: 21,
  statements: ({ integer, clustered, text }) => [
    `create table read_only (
      name ${text} not null primary key check (name = 'registry'),
      reason ${text} not null,
      set_by ${text} not null,
      set_at ${integer} not null,
      token ${text} not null,
      until ${integer},
      moved_to ${text},
      check (moved_to is null or until is null)
    ) ${clustered}`,
  ],
};
