import type { Migration } from './migration.ts';

/** What a blob store has to know of an upload to go on with it, in words of its own: a bucket's parts and their tags. */
export const progressOfUploads: Migration = {
  number: 21,
  name: 'progress of uploads',
  understoodSince: 20,
  statements: ({ text }) => [`alter table upload add column progress ${text} not null default ''`],
};
