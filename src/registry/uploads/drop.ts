import type { ObjectId } from '../../blobs/store.ts';
import { change, first, type Operation } from '../../metadata/operation.ts';
import { makeHashedObjectDead, makePendingObjectDead, objectState } from '../../metadata/queries/objects.ts';
import { deleteUpload, uploadTimes } from '../../metadata/queries/uploads.ts';
import { MetadataFullError } from '../../metadata/store.ts';
import type { Digest } from '../../oci/digest.ts';
import { isBeingPurged } from '../purges/purged.ts';
import type { Registry } from '../registry.ts';
import { reviewObject } from '../review.ts';

/** An upload session as somebody has found or claimed it. */
export interface FoundUpload {
  readonly oid: ObjectId;
  readonly epoch: number;
  /** That of the bytes, where it is known. */
  readonly digest: Digest | undefined;
}

/**
 * Ends a session whose bytes are not wanted, in a transaction of its own, and has the bytes reclaimed. On a full disk
 * the bytes go first, because theirs may be the room that the transaction needs; not where another process may close the
 * session meanwhile, as its turn is of this process only. Needs the session's turn.
 *
 * @param find how the session stands, asked for within the transaction; undefined where it is not to be dropped
 * @returns whether it was dropped
 */
export async function dropUpload(
  registry: Registry,
  id: string,
  find: () => Operation<FoundUpload | undefined>,
): Promise<boolean> {
  const { metadata, blobs, clock, sessions, reclaimer } = registry;
  const drop = function* dropFound(): Operation<ObjectId | undefined> {
    const found = yield* find();
    if (found !== undefined) yield* markDropped(id, found, clock.now());
    return found?.oid;
  };
  let oid: ObjectId | undefined;
  try {
    oid = await metadata.writeUnsynced(drop);
  } catch (error) {
    if (!(error instanceof MetadataFullError)) throw error;
    if (!metadata.isShared) {
      const found = await metadata.read(find);
      if (found === undefined) return false;
      await blobs.truncate(found.oid, 0);
    }
    oid = await metadata.writeUnsynced(drop, { fromReserve: true });
  }
  if (oid === undefined) return false;
  sessions.forget(id);
  reclaimer.soon(oid);
  return true;
}

/** A session that is still as a writer has claimed it; undefined where another one has come, or has ended it (R31). */
export function* stillClaimed(
  id: string,
  claimed: FoundUpload & { readonly writer: string },
): Operation<FoundUpload | undefined> {
  const upload = yield* first(uploadTimes, { id });
  const isOwn = upload?.oid === claimed.oid && upload.epoch === claimed.epoch && upload.writer === claimed.writer;
  return isOwn ? claimed : undefined;
}

/** The part of it that stands in a transaction; the object is reclaimed once that is committed. */
export function* markDropped(
  id: string,
  { oid, digest }: { readonly oid: ObjectId; readonly digest: Digest | undefined },
  now: number,
): Operation<void> {
  yield* change(deleteUpload, { id });
  yield* digest === undefined ? change(makePendingObjectDead, { oid }) : change(makeHashedObjectDead, { oid, digest });
  yield* reviewObject(oid, now);
}

/**
 * Removes what a writer may have brought into an object after another process had dropped it and removed its bytes: no
 * row speaks of it, or a dead one whose file may be thought to be gone (I9). What this cannot remove, a check of the
 * store finds.
 */
export async function removeLateBytes(registry: Registry, oid: ObjectId): Promise<void> {
  const { metadata, blobs, log, reclaimer } = registry;
  try {
    const dropped = await metadata.read(() => ifDropped(oid));
    if (dropped === undefined) return;
    if (dropped.isPurged) {
      // The purge keeps the row until it is through; it may have wanted the bytes overwritten.
      await blobs.shred(oid);
      await blobs.remove(oid);
    } else {
      await reclaimer.reclaim(oid);
    }
  } catch (error) {
    log.warn({ err: error, oid }, 'what was written to an upload that has been dropped could not be removed');
  }
}

/** Undefined where an object is wanted: it is live, or an upload goes on with it. */
function* ifDropped(oid: ObjectId): Operation<{ readonly isPurged: boolean } | undefined> {
  const object = yield* first(objectState, { oid });
  if (object === undefined) return { isPurged: false };
  if (object.state !== 'dead') return undefined;
  return { isPurged: object.digest !== null && (yield* isBeingPurged(object.digest)) };
}
