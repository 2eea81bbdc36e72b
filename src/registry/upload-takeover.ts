import { change, first, type Operation } from '../metadata/operation.ts';
import { insertPendingObject, makePendingObjectDead } from '../metadata/queries/objects.ts';
import { findUpload, moveUpload } from '../metadata/queries/uploads.ts';
import type { ObjectId } from '../blobs/store.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Registry } from './registry.ts';
import { reviewObject } from './review.ts';

/** How long a copy may take at most, in ms, before what nobody has gone on with is given up. */
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
  await blobs.copy(upload.oid, to, upload.offsetBytes);
  const isMoved = await metadata.writeUnsynced(() => move(id, { ...upload, to }, clock.now()));
  reclaimer.soon(isMoved ? upload.oid : to);
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
