import type { Migration } from './migration.ts';

/** Whether an upload that has ended since a lease did was under way at the lease's end, read from the index alone. */
export const uploadsThatEnded: Migration = {
  number: 8,
  name: 'uploads that ended',
  statements: () => [`create index upload_ended on upload (repo, touched_at, opened_at, oid) where oid is null`],
};
