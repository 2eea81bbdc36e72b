import { change, first, type Operation } from '../../metadata/operation.ts';
import { insertPendingObject, makePendingObjectDead, objectState } from '../../metadata/queries/objects.ts';
import { deleteTask } from '../../metadata/queries/tasks.ts';
import { findUpload, moveUpload } from '../../metadata/queries/uploads.ts';
import type { ObjectId } from '../../blobs/store.ts';
import type { RepositoryName } from '../../oci/names.ts';
import type { Registry } from '../registry.ts';
import { reviewObject } from '../review.ts';
import { SiblingBusyError } from '../siblings.ts';
import { type Claim, claim, type WrittenElsewhere } from './claim.ts';
import { keepEveryMs } from './heartbeat.ts';
import type { AppendRequest } from './request.ts';
import type { WriterTurn } from './sessions.ts';

/** After how long, in ms, a copy is given up that nobody makes any more, or has gone on with. */
const copyingMs = 3_600_000;

/** How often a request tries to take a session over, where each time another process is quicker. */
const mostTakeovers = 5;

/**
 * Claims a session, in an object that no other process writes to. Where processes of several machines share the database, and
 * another one may not have come to the end of its writing, this one goes on in an object of its own that begins with a copy.
 * The other may still be writing, to a client that it takes for slow, and nothing could keep it from it: so it writes into
 * what is no part of the session any more (R31). Needs the turn.
 *
 * @returns also when others could see first that the session is worked on, in ms since 1970
 * @throws SiblingBusyError where others keep being quicker
 */
export async function claimOwnObject(
  registry: Registry,
  request: AppendRequest,
  turn: WriterTurn,
): Promise<{ readonly claimed: Exclude<Claim, WrittenElsewhere>; readonly seenAt: number }> {
  for (let takeovers = 0; ; takeovers++) {
    const seenAt = registry.clock.now();
    const claimed = await claim(registry, request, turn);
    if (claimed.outcome !== 'written-elsewhere') return { claimed, seenAt };
    if (takeovers === mostTakeovers)
      throw new SiblingBusyError('other processes of this registry write to this upload');
    await takeOver(registry, request, claimed);
  }
}

async function takeOver(registry: Registry, { id, repo }: AppendRequest, found: WrittenElsewhere): Promise<void> {
  const { metadata, blobs, clock, ids, reclaimer } = registry;
  const to = ids.objectId();
  await metadata.writeUnsynced(function* begin(): Operation<void> {
    yield* change(insertPendingObject, { oid: to });
    yield* reviewObject(to, clock.now() + copyingMs);
  });
  const timer = setInterval(() => void keepCopy(registry, to), keepEveryMs(registry));
  try {
    // However much a writer has brought of which nothing counts.
    if (found.offsetBytes > 0) await blobs.copy?.(found.oid, to, found.offsetBytes);
  } finally {
    clearInterval(timer);
  }
  const isMoved = await metadata.writeUnsynced(() => move({ id, repo, to }, found, clock.now()));
  reclaimer.soon(isMoved ? found.oid : to);
}

/** Has nobody take a copy that is still being made for one that was given up. */
async function keepCopy({ metadata, clock, log }: Registry, to: ObjectId): Promise<void> {
  try {
    await metadata.writeUnsynced(function* later(): Operation<void> {
      // What is to be looked at keeps the earlier of two times.
      if ((yield* change(deleteTask, { kind: 'object', key1: to, key2: '' })) === 0) return;
      yield* reviewObject(to, clock.now() + copyingMs);
    });
  } catch (error) {
    log.warn({ err: error, oid: to }, 'it could not be said that an upload is still being copied; trying again');
  }
}

/** @returns false where the session has gone on meanwhile, or the copy was given up: it is of no use */
function* move(
  { id, repo, to }: { readonly id: string; readonly repo: RepositoryName; readonly to: ObjectId },
  found: WrittenElsewhere,
  now: number,
): Operation<boolean> {
  const upload = yield* first(findUpload, { id, repo });
  const isAsFound =
    upload?.oid === found.oid &&
    upload.epoch === found.epoch &&
    upload.offset_bytes === found.offsetBytes &&
    upload.writer === found.writer;
  const isMoved = isAsFound && (yield* first(objectState, { oid: to }))?.state === 'pending';
  if (isMoved) yield* change(moveUpload, { id, to, next: found.epoch + 1 });
  const dead = isMoved ? found.oid : to;
  yield* change(makePendingObjectDead, { oid: dead });
  yield* reviewObject(dead, now);
  return isMoved;
}
