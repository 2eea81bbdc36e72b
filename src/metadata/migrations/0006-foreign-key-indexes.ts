import type { Migration } from './migration.ts';

/**
 * What looks for the rows that a foreign key protects has to begin with the digest. Where the index has the repository in
 * it, of which the primary key knows as much, SQLite checks the key by reading the repository's rows from the first to
 * the last, and a delete takes the longer the larger the repository is. The primary key's columns are at the end of each
 * index anyway.
 */
export const foreignKeyIndexes: Migration = {
  number: 6,
  name: 'foreign key indexes',
  statements: () => [
    `drop index tag_manifest`,
    `create index tag_manifest on tag (manifest)`,
    `drop index manifest_blob_held`,
    `create index manifest_blob_held on manifest_blob (link_digest) where link_digest is not null`,
    `drop index manifest_child_present`,
    `create index manifest_child_present on manifest_child (present_child) where present_child is not null`,
  ],
};
