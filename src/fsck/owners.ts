import { CannotCheckError, type Records } from './records.ts';
import type { StoredBytes } from './stored-bytes.ts';

/**
 * Sees that the bytes are those of the registry whose database it is. Each could be another one's where they do not lie in one
 * directory: then everything would count as lost, and what is another's as nobody's.
 *
 * @returns the other registries that keep their bytes in the same place
 * @throws CannotCheckError where they are not
 */
export async function otherOwners(records: Records, bytes: StoredBytes): Promise<readonly string[]> {
  const [row] = await records.all<{ identity: string | null; isLeft: number }>(
    'select identity, identity_left as "isLeft" from store',
  );
  // After that: what is marked as left there is there.
  const { place, ids } = await bytes.registries();
  const identity = row?.identity ?? undefined;
  if (identity === undefined || row?.isLeft !== 1 || ids.includes(identity)) return ids.filter((id) => id !== identity);
  throw new CannotCheckError(
    `the blobs of this registry are elsewhere: there is no ${place}${identity}, which it leaves beside them; set metadata, blobs and data ` +
      'to what belongs together; docs/backup.md ("Blobs of another registry") says more',
  );
}
