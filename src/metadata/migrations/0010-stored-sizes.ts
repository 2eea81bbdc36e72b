import type { Migration } from './migration.ts';

/**
 * A manifest may say anything of how large a blob is. The edge that holds the blob has the size of its file, so that what
 * goes with a manifest is known without looking for each file.
 */
export const storedSizes: Migration = {
  number: 10,
  name: 'stored sizes',
  statements: () => [
    `update manifest_blob
      set size_bytes = (select object.size_bytes from object where object.live_digest = manifest_blob.link_digest)
      where exists (
        select 1 from object
        where object.live_digest = manifest_blob.link_digest and object.size_bytes <> manifest_blob.size_bytes
      )`,
  ],
};
