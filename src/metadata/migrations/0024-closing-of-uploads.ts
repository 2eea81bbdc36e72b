import type { Migration } from './migration.ts';

/** By which claim an upload is being closed: where that is the newest, who repeats it elsewhere does not disturb it (R30). */
export const closingOfUploads: Migration = {
  number: 24,
  name: 'closing of uploads',
  understoodSince: 21,
  statements: ({ integer }) => [`alter table upload add column closing_epoch ${integer}`],
};
