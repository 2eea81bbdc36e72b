import type { Migration } from './migration.ts';

/**
 * Which registry the database is, so that it is noticed where it meets the blobs of another one: its id, and whether that
 * has been left beside the blobs.
 */
export const registryIdentity: Migration = {
  number: 25,
  name: 'identity of the registry',
  understoodSince: 21,
  statements: ({ text, integer }) => [
    `alter table store add column identity ${text}`,
    `alter table store add column identity_left ${integer} not null default 0 check (identity_left in (0, 1) and (identity_left = 0 or identity is not null))`,
  ],
};
