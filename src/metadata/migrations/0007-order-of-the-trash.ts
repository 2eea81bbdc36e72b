import type { Migration } from './migration.ts';

/** What a tag led to last, found by one probe, however often the tag was moved. */
export const orderOfTheTrash: Migration = {
  number: 7,
  name: 'order of the trash',
  statements: () => [`create index tag_trash_order on tag_trash (repo, name, trashed_at)`],
};
