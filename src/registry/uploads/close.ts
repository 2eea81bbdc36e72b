import { change, first, type Operation } from '../../metadata/operation.ts';
import { attachAbsentBlobEdges, upsertLink } from '../../metadata/queries/links.ts';
import { liveObject, makeHashedObjectDead, makeObjectDead, makeObjectLive } from '../../metadata/queries/objects.ts';
import { insertRepository } from '../../metadata/queries/repositories.ts';
import { findUpload, finishUpload } from '../../metadata/queries/uploads.ts';
import { BlobMissingError, BlobStoreBusyError, ClaimLostError, type ObjectId } from '../../blobs/store.ts';
import { type Begun, MetadataFullError } from '../../metadata/store.ts';
import { algorithmOf, type Digest, DigestHasher } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/names.ts';
import { type Actor, anyClient } from '../actor.ts';
import { renewLink } from '../blob.ts';
import { recordEvent } from '../events.ts';
import { type Purged, purgedDigest } from '../purges/purged.ts';
import { admitLink } from '../quota-usage.ts';
import type { OverQuota, QuotasInForce, QuotaWarning } from '../quotas.ts';
import type { Registry } from '../registry.ts';
import { reviewLink, reviewObject } from '../review.ts';
import { append, type AppendOutcome, giveBack } from './append.ts';
import { holdsClaim, lost, shrink, type UploadClaim } from './claim.ts';
import { dropUpload, markDropped, stillClaimed } from './drop.ts';
import type { AppendRequest, Chunk } from './request.ts';
import type { WriterTurn } from './sessions.ts';
import { inTurn } from './turn.ts';

export interface CloseRequest extends Chunk {
  readonly repo: RepositoryName;
  readonly id: string;
  readonly digest: Digest;
  readonly actor?: Actor;
  /** Whether the client may be told that another repository of the quota has the blob; it may where it is not given. */
  readonly showsOthers?: boolean;
}

export type CloseOutcome =
  | { readonly outcome: 'created'; readonly warnings: readonly QuotaWarning[] }
  | { readonly outcome: 'over-quota'; readonly over: OverQuota }
  | { readonly outcome: 'digest-mismatch'; readonly actual: Digest; readonly sizeBytes: number }
  | { readonly outcome: 'blocked'; readonly purged: Purged }
  | Exclude<AppendOutcome, { readonly outcome: 'appended' } | { readonly outcome: 'done' }>;

type TurnOutcome = CloseOutcome | { readonly outcome: 'done'; readonly digest: Digest };

/**
 * The closing PUT: appends its bytes, if it brings any, verifies the whole against the digest (R33), and makes the blob
 * visible (T_commit). Repeated after a lost answer it succeeds again (R30).
 */
export async function closeUpload(registry: Registry, request: CloseRequest): Promise<CloseOutcome> {
  const last: AppendRequest = { ...request, algorithm: algorithmOf(request.digest), isLast: true };
  const closed = await inTurn(registry, last, (turn) => close(registry, request, last, turn));
  if (closed.outcome === 'done' && closed.digest === request.digest) {
    // The blob may have been deleted since; where it has not, this answer promises as much as the lost one did (I7).
    const leaseUntil = registry.clock.now() + registry.windows.leaseMs;
    const isThere = await registry.metadata.write(() => renewLink(request.repo, request.digest, leaseUntil));
    if (isThere) return { outcome: 'created', warnings: [] };
  } else if (closed.outcome !== 'done' && closed.outcome !== 'unknown') {
    return closed;
  }
  // A purge takes the sessions too that have brought what it is for, and whoever comes back to one is told why.
  const purged = await registry.metadata.read(() => purgedDigest(request.digest));
  return purged === undefined ? { outcome: 'unknown' } : { outcome: 'blocked', purged };
}

async function close(
  registry: Registry,
  request: CloseRequest,
  last: AppendRequest,
  turn: WriterTurn,
): Promise<TurnOutcome> {
  const appended = await append(registry, last, turn);
  if (appended.outcome !== 'appended') return appended;
  turn.verifies();
  try {
    return await verifyAndCommit(registry, request, appended);
  } catch (error) {
    if (error instanceof BlobMissingError) {
      return await shrink(registry, request, appended.claim.epoch, error.availableBytes);
    }
    if (error instanceof ClaimLostError) return await lost(registry, { ...request, range: undefined });
    if (!(error instanceof MetadataFullError)) throw error;
    return await giveBack(registry, last, turn);
  }
}

/** Verifies a session's bytes, and publishes or drops them. */
async function verifyAndCommit(
  registry: Registry,
  { repo, id, digest, actor = anyClient, showsOthers = true }: CloseRequest,
  appended: Extract<AppendOutcome, { readonly outcome: 'appended' }>,
): Promise<TurnOutcome> {
  const algorithm = algorithmOf(digest);
  const { claim } = appended;
  const { oid, epoch, hasher } = claim;
  const { writer } = registry.sessions;
  const sizeBytes = appended.offsetBytes;

  let synced = false;
  const sync = async (known: Digest | undefined): Promise<void> => {
    await syncOrDrop(registry, id, { claim, digest: known });
    await expectSize(registry, oid, sizeBytes);
    synced = true;
  };
  let actual: Digest;
  if (hasher?.algorithm === algorithm) {
    actual = hasher.digest();
  } else {
    // A bucket gives no bytes of an upload back before it is completed.
    await sync(undefined);
    actual = await rehash(registry, oid, new DigestHasher(algorithm));
  }
  registry.sessions.forget(id);
  if (actual !== digest) {
    const isDropped = await dropUpload(registry, id, () => stillClaimed(id, { oid, epoch, writer, digest: actual }));
    return isDropped
      ? { outcome: 'digest-mismatch', actual, sizeBytes }
      : await lost(registry, { repo, id, range: undefined });
  }

  for (;;) {
    const live = await liveObjectState(registry, digest);
    if (live.state !== 'healthy' && !synced) await sync(digest);
    const unhealthy = live.state === 'unhealthy' ? live.oid : undefined;
    const committed = await registry.metadata.write((begun) =>
      commitUpload({
        repo,
        id,
        digest,
        oid,
        epoch,
        writer,
        sizeBytes,
        synced,
        unhealthy,
        showsOthers,
        quotas: registry.quotas,
        begun,
        actor,
        now: registry.clock.now(),
        leaseMs: registry.windows.leaseMs,
      }),
    );
    switch (committed.outcome) {
      case 'needs-sync':
        // The live object went between the look at it and the transaction.
        await sync(digest);
        continue;
      case 'committed':
        for (const dead of committed.dead) registry.reclaimer.soon(dead);
        return { outcome: 'created', warnings: committed.warnings };
      case 'blocked':
      case 'over-quota':
        registry.reclaimer.soon(oid);
        return committed;
      case 'created':
      case 'unknown':
      case 'superseded':
        return committed;
    }
  }
}

/**
 * Syncs an upload's bytes; where that fails the session ends with them. The system may have given up what it could not
 * write and count it as written, so a second try would promise bytes that are not on the disk. Not where the store says
 * what it has lost, that another writer has come, or only that it did not answer; nor where the database did not say who
 * the writer is.
 * @param upload.digest that of the bytes, where it is known
 */
async function syncOrDrop(
  registry: Registry,
  id: string,
  { claim, digest }: { readonly claim: UploadClaim; readonly digest: Digest | undefined },
): Promise<void> {
  const { oid, progress, epoch } = claim;
  let hasDatabaseFailed = false;
  const isHeld = async (): Promise<boolean> => {
    try {
      return await holdsClaim(registry, id, epoch);
    } catch (error) {
      hasDatabaseFailed = true;
      throw error;
    }
  };
  try {
    await registry.blobs.sync(oid, { progress, epoch, isHeld });
  } catch (error) {
    const isKept = [BlobStoreBusyError, BlobMissingError, ClaimLostError].some((kind) => error instanceof kind);
    if (isKept || hasDatabaseFailed) throw error;
    const { writer } = registry.sessions;
    if (await dropUpload(registry, id, () => stillClaimed(id, { oid, epoch, writer, digest }))) throw error;
    // The file of a writer that was overtaken may be gone.
    throw new ClaimLostError('another request has taken the upload over, or has ended it', { cause: error });
  }
}

/**
 * The digest may be of the bytes as they came, not as they lie there: whatever became of those, none are promised that
 * are not there. @throws BlobMissingError
 */
async function expectSize({ blobs, log }: Registry, oid: ObjectId, sizeBytes: number): Promise<void> {
  if (!blobs.isSizeCheap) return;
  const thereBytes = (await blobs.size(oid)) ?? 0;
  if (thereBytes === sizeBytes) return;
  log.error({ oid, expectedBytes: sizeBytes, onDiskBytes: thereBytes }, 'an upload has not the bytes that it was sent');
  throw new BlobMissingError(`the upload's file holds ${thereBytes} bytes, not ${sizeBytes}`, {
    availableBytes: Math.min(thereBytes, sizeBytes),
  });
}

/** The bytes as they lie in the store, hashed from the first to the last. */
async function rehash(registry: Registry, oid: ObjectId, hasher: DigestHasher): Promise<Digest> {
  for await (const chunk of registry.blobs.read(oid).stream()) hasher.update(chunk);
  return hasher.digest();
}

type LiveObjectState =
  | { readonly state: 'none' }
  | { readonly state: 'healthy' }
  /** Its file is gone or has the wrong size: the newly uploaded copy takes its place. */
  | { readonly state: 'unhealthy'; readonly oid: ObjectId };

async function liveObjectState(registry: Registry, digest: Digest): Promise<LiveObjectState> {
  const live = await registry.metadata.read(() => first(liveObject, { digest }));
  if (live === undefined) return { state: 'none' };
  const onDisk = await registry.blobs.size(live.oid);
  if (onDisk === live.size_bytes) return { state: 'healthy' };
  registry.log.error(
    { digest, oid: live.oid, expectedBytes: live.size_bytes, onDiskBytes: onDisk },
    'a blob is damaged on the disk; the copy being pushed takes its place',
  );
  return { state: 'unhealthy', oid: live.oid };
}

interface Commit {
  readonly repo: RepositoryName;
  readonly id: string;
  readonly digest: Digest;
  readonly oid: ObjectId;
  readonly epoch: number;
  /** The process that has claimed it. */
  readonly writer: string;
  readonly sizeBytes: number;
  /** Whether the file's bytes and name are on the disk. */
  readonly synced: boolean;
  readonly unhealthy: ObjectId | undefined;
  readonly quotas: QuotasInForce;
  readonly begun: Begun;
  readonly actor: Actor;
  readonly showsOthers: boolean;
  readonly now: number;
  readonly leaseMs: number;
}

type Committed =
  | { readonly outcome: 'committed'; readonly dead: readonly ObjectId[]; readonly warnings: readonly QuotaWarning[] }
  | { readonly outcome: 'blocked'; readonly purged: Purged }
  | { readonly outcome: 'over-quota'; readonly over: OverQuota }
  | { readonly outcome: 'needs-sync' }
  | { readonly outcome: 'created'; readonly warnings: readonly QuotaWarning[] }
  | { readonly outcome: 'unknown' }
  | { readonly outcome: 'superseded'; readonly offsetBytes: number };

/**
 * T_commit. Decides inside the transaction which physical object is the digest's (R6, R10): a healthy live one stays
 * and ours dies, unseen by anybody; otherwise ours becomes live. Condemned bytes are never revived (R5). The link's
 * lease is renewed in the same transaction (R7). What does not fit into the repository's quota is dropped.
 */
export function* commitUpload(commit: Commit): Operation<Committed> {
  const { repo, id, digest, oid, now } = commit;
  const upload = yield* first(findUpload, { id, repo });
  if (upload === undefined) return { outcome: 'unknown' };
  if (upload.state === 'done') {
    if (upload.result_digest !== digest) return { outcome: 'unknown' };
    const since = yield* purgedDigest(digest);
    return since === undefined ? { outcome: 'created', warnings: [] } : { outcome: 'blocked', purged: since };
  }
  const isClaimed = upload.oid === oid && upload.epoch === commit.epoch && upload.writer === commit.writer;
  if (!isClaimed) return { outcome: 'superseded', offsetBytes: upload.offset_bytes };

  const purged = yield* purgedDigest(digest);
  if (purged !== undefined) {
    yield* markDropped(id, { oid, digest }, now);
    return { outcome: 'blocked', purged };
  }

  const live = yield* first(liveObject, { digest });
  const dead: ObjectId[] = [];
  if (live !== undefined && live.oid !== commit.unhealthy) {
    dead.push(oid);
  } else {
    if (!commit.synced) return { outcome: 'needs-sync' };
    if (live !== undefined) dead.push(live.oid);
  }

  const { sizeBytes, showsOthers } = commit;
  const quota = (yield* commit.quotas.at(commit.begun)).of(repo);
  const admission = yield* admitLink(quota, { repo, digest, sizeBytes, showsOthers }, { now });
  if (admission.outcome === 'over-quota') {
    yield* markDropped(id, { oid, digest }, now);
    return admission;
  }

  if (dead.includes(oid)) {
    yield* change(makeHashedObjectDead, { oid, digest });
  } else {
    for (const each of dead) yield* change(makeObjectDead, { oid: each });
    yield* change(makeObjectLive, { oid, digest, size: commit.sizeBytes });
  }

  const leaseUntil = now + commit.leaseMs;
  yield* change(insertRepository, { repo, now });
  yield* change(upsertLink, { repo, digest, leaseUntil, now });
  yield* change(attachAbsentBlobEdges, { repo, digest });
  yield* change(finishUpload, { id, digest, now });
  yield* recordEvent({ at: now, kind: 'blob.pushed', repo, digest, actor: commit.actor, bytes: sizeBytes });
  yield* reviewLink(repo, digest, leaseUntil);
  for (const each of dead) yield* reviewObject(each, now);
  return { outcome: 'committed', dead, warnings: admission.warnings };
}
