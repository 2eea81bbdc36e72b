import { change, first, type Operation } from '../../metadata/operation.ts';
import { insertPendingObject, makePendingObjectDead } from '../../metadata/queries/objects.ts';
import { deleteTask } from '../../metadata/queries/tasks.ts';
import { findUpload, moveUpload } from '../../metadata/queries/uploads.ts';
import type { ObjectId } from '../../blobs/store.ts';
import type { RepositoryName } from '../../oci/names.ts';
import type { Registry } from '../registry.ts';
import { reviewObject } from '../review.ts';
import { keepEveryMs } from './heartbeat.ts';

/** After how long, in ms, a copy is given up that nobody makes any more, or has gone on with. */
const copyingMs = 3_600_000;

interface OthersUpload {
  readonly oid: ObjectId;
  readonly epoch: number;
  readonly offsetBytes: number;
}

/**
 * Where processes of several machines share the database, and another one may not have come to the end of its writing to
 * a session, this one goes on in an object of its own that begins with a copy of it. The other may still be writing, to a client that it takes for slow,
 * and nothing could keep it from it: so it writes into what is no part of the session any more (R31). Needs the turn.
 */
export async function takeOverUpload(registry: Registry, id: string, repo: RepositoryName): Promise<void> {
  const { metadata, blobs, clock, ids, reclaimer, siblings } = registry;
  if (!metadata.isShared || siblings.areAll || blobs.copy === undefined) return;
  const upload = await metadata.read(() => othersUpload(id, repo, registry.sessions.writer));
  if (upload === undefined) return;
  const to = ids.objectId();
  await metadata.writeUnsynced(function* begin(): Operation<void> {
    yield* change(insertPendingObject, { oid: to });
    yield* reviewObject(to, clock.now() + copyingMs);
  });
  const timer = setInterval(() => void keepCopy(registry, to), keepEveryMs(registry));
  try {
    await blobs.copy(upload.oid, to, upload.offsetBytes);
  } finally {
    clearInterval(timer);
  }
  const isMoved = await metadata.writeUnsynced(() => move(id, { ...upload, to }, clock.now()));
  reclaimer.soon(isMoved ? upload.oid : to);
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

function* othersUpload(id: string, repo: RepositoryName, own: string): Operation<OthersUpload | undefined> {
  const upload = yield* first(findUpload, { id, repo });
  if (upload === undefined || upload.oid === null || upload.writer === null || upload.writer === own) return undefined;
  return { oid: upload.oid, epoch: upload.epoch, offsetBytes: upload.offset_bytes };
}

/** @returns false where somebody else has gone on with it meanwhile: the copy is of no use */
function* move(
  id: string,
  { oid, to, epoch }: OthersUpload & { readonly to: ObjectId },
  now: number,
): Operation<boolean> {
  const isMoved = (yield* change(moveUpload, { id, from: oid, to, epoch, next: epoch + 1 })) > 0;
  const dead = isMoved ? oid : to;
  yield* change(makePendingObjectDead, { oid: dead });
  yield* reviewObject(dead, now);
  return isMoved;
}
