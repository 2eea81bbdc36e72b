import type { ObjectId } from '../blobs/store.ts';
import { change, type Operation } from '../metadata/operation.ts';
import { makeHashedObjectDead, makeObjectDead } from '../metadata/queries/objects.ts';
import { deleteUpload } from '../metadata/queries/uploads.ts';
import { MetadataFullError } from '../metadata/store.ts';
import type { Digest } from '../oci/digest.ts';
import type { Registry } from './registry.ts';
import { reviewObject } from './review.ts';

/**
 * Ends a session whose bytes are not wanted, in a transaction of its own, and has the bytes reclaimed. On a full disk
 * the bytes go first, because theirs may be the room that the transaction needs. Needs the session's turn.
 *
 * @param digest that of the bytes, where it is known
 */
export async function dropUpload(registry: Registry, id: string, oid: ObjectId, digest?: Digest): Promise<void> {
  const drop = (): Operation<void> => markDropped(id, { oid, digest }, registry.clock.now());
  try {
    await registry.metadata.writeUnsynced(drop);
  } catch (error) {
    if (!(error instanceof MetadataFullError)) throw error;
    await registry.blobs.truncate(oid, 0);
    await registry.metadata.writeUnsynced(drop, { fromReserve: true });
  }
  registry.sessions.forget(id);
  registry.reclaimer.soon(oid);
}

/** The part of it that stands in a transaction; the object is reclaimed once that is committed. */
export function* markDropped(
  id: string,
  { oid, digest }: { readonly oid: ObjectId; readonly digest: Digest | undefined },
  now: number,
): Operation<void> {
  yield* change(deleteUpload, { id });
  yield* digest === undefined ? change(makeObjectDead, { oid }) : change(makeHashedObjectDead, { oid, digest });
  yield* reviewObject(oid, now);
}
