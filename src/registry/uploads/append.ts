import { BlobMissingError, BlobStoreFullError } from '../../blobs/store.ts';
import { MetadataFullError } from '../../metadata/store.ts';
import { type Digest, DigestHasher } from '../../oci/digest.ts';
import type { Registry } from '../registry.ts';
import {
  advance,
  becomeWriter,
  claimable,
  lost,
  type NotClaimable,
  shrink,
  type Superseded,
  type UploadClaim,
} from './claim.ts';
import { type Received, receive } from './receive.ts';
import { type AppendRequest, expectedBytesOf, isEmpty, type LengthMismatch } from './request.ts';
import type { WriterTurn } from './sessions.ts';
import { claimOwnObject } from './takeover.ts';
import { inTurn } from './turn.ts';
import { endOtherWriters } from './writers.ts';

export type AppendOutcome =
  | { readonly outcome: 'appended'; readonly claim: UploadClaim; readonly offsetBytes: number }
  | { readonly outcome: 'unknown' }
  | { readonly outcome: 'done'; readonly digest: Digest }
  | { readonly outcome: 'out-of-order'; readonly offsetBytes: number }
  | LengthMismatch
  | Superseded
  /** The client went away; what it sent is kept. */
  | { readonly outcome: 'interrupted'; readonly offsetBytes: number }
  | Full;

/** The disk is full; what earlier requests brought is kept. */
interface Full {
  readonly outcome: 'full';
  readonly offsetBytes: number;
}

/** Takes a chunk into an upload session (protocol.md, PATCH), and keeps the hash so far for the next one. */
export async function appendToUpload(registry: Registry, request: AppendRequest): Promise<AppendOutcome> {
  return await inTurn(registry, request, async (turn) => {
    const appended = await append(registry, request, turn);
    if (appended.outcome === 'appended') {
      const { epoch, incarnation, hasher } = appended.claim;
      const { offsetBytes } = appended;
      if (hasher !== undefined) registry.sessions.keepHash(request.id, { epoch, incarnation, offsetBytes, hasher });
    }
    return appended;
  });
}

/**
 * Appends a request's bytes in its turn: claims the session under a new epoch, which ends writers of other processes
 * or leaves them the object that they have, streams the bytes into the object's file, and records the new offset if the epoch is still its own. Two writers never
 * mix their bytes, and what a refused or overtaken one has left behind the offset is cut off (R31).
 */
export async function append(registry: Registry, request: AppendRequest, turn: WriterTurn): Promise<AppendOutcome> {
  try {
    return await claimAndAppend(registry, request, turn);
  } catch (error) {
    if (!(error instanceof BlobStoreFullError || error instanceof MetadataFullError)) throw error;
    return await giveBack(registry, request, turn);
  }
}

async function claimAndAppend(registry: Registry, request: AppendRequest, turn: WriterTurn): Promise<AppendOutcome> {
  const { claimed, seenAt } = await claimOwnObject(registry, request, turn);
  if (claimed.outcome !== 'claimable') return claimed;
  if (claimed.otherWriter !== undefined) {
    await endOtherWriters(registry.siblings, request.id, claimed.epoch);
    // What the other has come to may be the session's end.
    if (!(await becomeWriter(registry, request.id, claimed.epoch))) return await lost(registry, request);
  }
  const { oid, epoch, incarnation, progress, offsetBytes } = claimed;
  const expectedBytes = expectedBytesOf(request);
  const kept = registry.sessions.takeHash(request.id, { epoch: epoch - 1, incarnation, offsetBytes });
  const algorithm = request.algorithm ?? claimed.algorithm;
  const hasher = offsetBytes === 0 ? new DigestHasher(algorithm) : kept;

  if (isEmpty(request) && offsetBytes > 0) {
    const availableBytes = await registry.blobs.cutBack(oid, offsetBytes);
    if (availableBytes !== offsetBytes) return await shrink(registry, request, epoch, availableBytes);
    return { outcome: 'appended', claim: { oid, epoch, incarnation, progress, hasher }, offsetBytes };
  }

  let received: Received;
  try {
    const writer = await registry.blobs.append(oid, offsetBytes, { progress, epoch });
    received = await receive(registry, request, { turn, epoch, seenAt, hasher, writer, limitBytes: expectedBytes });
  } catch (error) {
    if (error instanceof BlobMissingError) return await shrink(registry, request, epoch, error.availableBytes);
    throw error;
  }
  const newOffset = offsetBytes + received.bytes;
  const reached = { id: request.id, epoch, offset: newOffset, progress: received.progress };

  switch (received.ended) {
    case 'stopped':
      return { outcome: 'superseded', offsetBytes };
    case 'too-long':
    case 'too-short':
      await registry.blobs.truncate(oid, offsetBytes);
      return {
        outcome: 'length-mismatch',
        expectedBytes: expectedBytes ?? received.bytes,
        receivedBytes: received.bytes,
      };
    case 'interrupted': {
      const advanced = await advance(registry, reached);
      if (advanced && hasher !== undefined) {
        registry.sessions.keepHash(request.id, { epoch, incarnation, offsetBytes: newOffset, hasher });
      }
      return { outcome: 'interrupted', offsetBytes: advanced ? newOffset : offsetBytes };
    }
    case 'complete': {
      const advanced = request.isLast || (await advance(registry, reached));
      if (!advanced) return { outcome: 'superseded', offsetBytes };
      const done = { oid, epoch, incarnation, progress: received.progress, hasher };
      return { outcome: 'appended', claim: done, offsetBytes: newOffset };
    }
  }
}

/**
 * Where the disk or the database has no room for a request, what the session's row does not count is cut off its file:
 * that may be the very room that is missing, and the session goes on from where its row says. Only of what the turn has
 * claimed, and as long as it has: in another's file, or in its own after another process has claimed it, somebody may be
 * writing, who would not see that something is gone (R31).
 */
export async function giveBack(
  registry: Registry,
  request: AppendRequest,
  turn: WriterTurn,
): Promise<Full | NotClaimable | Superseded> {
  const session = await registry.metadata.read(() => claimable(request));
  if (session.outcome !== 'claimable') return session;
  const { oid, epoch, offsetBytes, otherWriter: writer } = session;
  if (turn.epoch !== undefined) {
    const isOwn = turn.oid === oid && turn.epoch === epoch && writer === registry.sessions.writer;
    if (!isOwn) return { outcome: 'superseded', offsetBytes };
    await registry.blobs.truncate(oid, offsetBytes);
  }
  return { outcome: 'full', offsetBytes };
}
