import {
  BlobMissingError,
  BlobStoreFullError,
  type ByteRange,
  type BlobWriter,
  type ObjectId,
  type WriterEnd,
} from '../blobs/store.ts';
import { change, first, type Operation } from '../metadata/operation.ts';
import {
  advanceUpload,
  becomeOnlyWriter,
  beginUploadEpoch,
  endClosing,
  findUpload,
  keepUpload,
  touchUpload,
} from '../metadata/queries/uploads.ts';
import { MetadataFullError } from '../metadata/store.ts';
import { type Digest, type DigestAlgorithm, DigestHasher } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Registry } from './registry.ts';
import type { Incoming } from './room.ts';
import type { WriterTurn } from './upload-sessions.ts';
import { removeLateBytes } from './upload-drop.ts';
import { takeOverUpload } from './upload-takeover.ts';
import { SiblingBusyError } from './siblings.ts';
import { awaitVerification, endOtherWriters } from './upload-writers.ts';

/** How often a slow writer tells that it is alive, at most, in ms (R27). */
const heartbeatMs = 30_000;
/** However short the window of uploads is. */
const leastHeartbeatMs = 100;

/** The bytes of a request and what it said of them beforehand. */
export interface Chunk {
  readonly body: ReadableStream<Uint8Array> | null;
  /** From Content-Range; undefined for a stream that goes on where the session stands. */
  readonly range: ByteRange | undefined;
  /** From Content-Length, in bytes; undefined where the length is not known beforehand. */
  readonly lengthBytes: number | undefined;
  /** Where the upload was admitted together with these bytes. */
  readonly incoming?: Incoming;
}

export interface AppendRequest extends Chunk {
  readonly repo: RepositoryName;
  readonly id: string;
  /** The algorithm of the digest that the client has named already; the session's own where it has named none. */
  readonly algorithm?: DigestAlgorithm;
  /** The session is to be committed at once, under the claim's epoch: its offset need not be recorded before. */
  readonly isLast: boolean;
}

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

/** The request has more or fewer bytes than it announced. */
interface LengthMismatch {
  readonly outcome: 'length-mismatch';
  readonly expectedBytes: number;
  readonly receivedBytes: number;
}

/** Another request has taken the session over (R31). */
export interface Superseded {
  readonly outcome: 'superseded';
  readonly offsetBytes: number;
}

/** A writer's right to a session, until the next one comes. */
export interface UploadClaim {
  readonly oid: ObjectId;
  readonly epoch: number;
  /** What the blob store has said of the bytes so far. */
  readonly progress: string;
  /** The hash of all bytes so far; undefined where they have to be read again. */
  readonly hasher: DigestHasher | undefined;
}

/** Takes a chunk into an upload session (protocol.md, PATCH), and keeps the hash so far for the next one. */
export async function appendToUpload(registry: Registry, request: AppendRequest): Promise<AppendOutcome> {
  return await inTurn(registry, request, async (turn) => {
    const appended = await append(registry, request, turn);
    if (appended.outcome === 'appended') {
      const { epoch, hasher } = appended.claim;
      const { offsetBytes } = appended;
      if (hasher !== undefined) registry.sessions.keepHash(request.id, { epoch, offsetBytes, hasher });
    }
    return appended;
  });
}

/**
 * Lets a request work on a session when its turn has come. One that is out of order, or contradicts itself, is refused
 * before it could disturb the writer that is at work.
 */
export async function inTurn<T extends { readonly outcome: string }>(
  registry: Registry,
  request: AppendRequest,
  work: (turn: WriterTurn) => Promise<T>,
): Promise<T | NotClaimable | LengthMismatch | Superseded> {
  const inOrder = await registry.metadata.read(() => claimable(request));
  if (inOrder.outcome !== 'claimable') return inOrder;
  const expectedBytes = expectedBytesOf(request);
  if (expectedBytes !== undefined && request.lengthBytes !== undefined && expectedBytes !== request.lengthBytes) {
    return { outcome: 'length-mismatch', expectedBytes, receivedBytes: request.lengthBytes };
  }
  const { siblings, sessions } = registry;
  const isWrittenElsewhere = inOrder.otherWriter !== undefined && inOrder.otherWriter !== sessions.writer;
  if (isClosing(request) && isWrittenElsewhere) {
    if (siblings.areAll) await awaitVerification(siblings, request.id);
    else if (inOrder.closingSeenAt > registry.clock.now() - 3 * keepEveryMs(registry)) {
      throw new SiblingBusyError('another process of this registry is closing this upload');
    }
  }
  const worked = await sessions.takeTurn(
    request.id,
    async (turn) => await keptAlive(registry, request.id, () => leavingNothing(registry, request, turn, work)),
  );
  if (worked !== undefined) return worked;
  // The turn went to a later request. What this one wanted may have been done meanwhile (R30).
  const after = await registry.metadata.read(() => claimable(request));
  return after.outcome === 'claimable' ? { outcome: 'superseded', offsetBytes: after.offsetBytes } : after;
}

/**
 * Has a request work in its turn. Where that has not come to a good end, the session may have been dropped by another
 * process meanwhile, and what was written after that process had removed it belongs to nothing.
 */
async function leavingNothing<T extends { readonly outcome: string }>(
  registry: Registry,
  request: AppendRequest,
  turn: WriterTurn,
  work: (turn: WriterTurn) => Promise<T>,
): Promise<T> {
  let isGood = false;
  try {
    const worked = await work(turn);
    isGood = worked.outcome === 'appended' || worked.outcome === 'created';
    return worked;
  } finally {
    if (!isGood) {
      if (isClosing(request)) await giveUpClosing(registry, request.id, turn);
      if (turn.oid !== undefined) await removeLateBytes(registry, turn.oid);
    }
  }
}

/** Another process may close the session from now on. If that cannot be written down, it may do so a little later. */
async function giveUpClosing({ metadata, log }: Registry, id: string, { epoch }: WriterTurn): Promise<void> {
  if (!metadata.isShared || epoch === undefined) return;
  try {
    await metadata.writeUnsynced(() => change(endClosing, { id, epoch }));
  } catch (error) {
    log.warn(
      { err: error, upload: id },
      'other processes could not be told that an upload is not being closed any more',
    );
  }
}

/**
 * Appends a request's bytes in its turn: claims the session under a new epoch, which ends writers of other processes,
 * streams the bytes into the object's file, and records the new offset if the epoch is still its own. Two writers never
 * mix their bytes, and what a refused or overtaken one has left behind the offset is cut off (R31).
 */
export async function append(registry: Registry, request: AppendRequest, turn: WriterTurn): Promise<AppendOutcome> {
  try {
    return await claimAndAppend(registry, request, turn);
  } catch (error) {
    if (!(error instanceof BlobStoreFullError || error instanceof MetadataFullError)) throw error;
    return await giveBack(registry, request);
  }
}

async function claimAndAppend(registry: Registry, request: AppendRequest, turn: WriterTurn): Promise<AppendOutcome> {
  await takeOverUpload(registry, request.id, request.repo);
  const claimed = await claim(registry, request, turn);
  if (claimed.outcome !== 'claimable') return claimed;
  if (claimed.otherWriter !== undefined) {
    await endOtherWriters(registry.siblings, request.id, claimed.epoch);
    // What the other has come to may be the session's end.
    if (!(await becomeWriter(registry, request.id, claimed.epoch))) return await lost(registry, request);
  }
  const { oid, epoch, progress, offsetBytes } = claimed;
  const expectedBytes = expectedBytesOf(request);
  const kept = registry.sessions.takeHash(request.id, epoch - 1, offsetBytes);
  const algorithm = request.algorithm ?? claimed.algorithm;
  const hasher = offsetBytes === 0 ? new DigestHasher(algorithm) : kept;

  if (isEmpty(request) && offsetBytes > 0) {
    const availableBytes = await registry.blobs.cutBack(oid, offsetBytes);
    if (availableBytes !== offsetBytes) return await shrink(registry, request.id, epoch, availableBytes);
    return { outcome: 'appended', claim: { oid, epoch, progress, hasher }, offsetBytes };
  }

  let received: Received;
  try {
    const writer = await registry.blobs.append(oid, offsetBytes, { progress, epoch });
    received = await receive(registry, request, { turn, epoch, hasher, writer, limitBytes: expectedBytes });
  } catch (error) {
    if (error instanceof BlobMissingError) return await shrink(registry, request.id, epoch, error.availableBytes);
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
        registry.sessions.keepHash(request.id, { epoch, offsetBytes: newOffset, hasher });
      }
      return { outcome: 'interrupted', offsetBytes: advanced ? newOffset : offsetBytes };
    }
    case 'complete': {
      const advanced = request.isLast || (await advance(registry, reached));
      if (!advanced) return { outcome: 'superseded', offsetBytes };
      const done = { oid, epoch, progress: received.progress, hasher };
      return { outcome: 'appended', claim: done, offsetBytes: newOffset };
    }
  }
}

type Claim = Claimable | NotClaimable;

interface Claimable {
  readonly outcome: 'claimable';
  readonly oid: ObjectId;
  readonly epoch: number;
  readonly progress: string;
  readonly offsetBytes: number;
  readonly algorithm: DigestAlgorithm;
  /** Which process may not have come to the end of its writing; of a claim, where that is another one that has to end. */
  readonly otherWriter: string | undefined;
  /** When it was last seen that a request closes it; -Infinity where none does. */
  readonly closingSeenAt: number;
}

type NotClaimable =
  | { readonly outcome: 'unknown' }
  | { readonly outcome: 'done'; readonly digest: Digest }
  | { readonly outcome: 'out-of-order'; readonly offsetBytes: number };

async function claim(registry: Registry, request: AppendRequest, turn: WriterTurn): Promise<Claim> {
  const now = registry.clock.now();
  return await registry.metadata.writeUnsynced(function* claimSession(): Operation<Claim> {
    const session = yield* claimable(request);
    if (session.outcome !== 'claimable') return session;
    const epoch = session.epoch + 1;
    const { writer: own } = registry.sessions;
    const { otherWriter: last } = session;
    // That stays written down until it is known to have ended, whatever becomes of this claim.
    const otherWriter = last !== own && registry.siblings.areAll ? last : undefined;
    turn.claimed(epoch, session.oid);
    if (isClosing(request)) turn.verifies();
    const closing = isClosing(request) ? epoch : null;
    yield* change(beginUploadEpoch, { id: request.id, epoch, writer: otherWriter ?? own, closing, now });
    return { ...session, epoch, otherWriter };
  });
}

/** Writes down that no other writer of a session is left; false where it was claimed again meanwhile. */
async function becomeWriter(registry: Registry, id: string, epoch: number): Promise<boolean> {
  const { writer } = registry.sessions;
  const now = registry.clock.now();
  return (await registry.metadata.writeUnsynced(() => change(becomeOnlyWriter, { id, epoch, writer, now }))) > 0;
}

/** How a session stands that was claimed, and that another request has come to the end of, or claimed, since. */
export async function lost(
  registry: Registry,
  request: Pick<AppendRequest, 'id' | 'repo' | 'range'>,
): Promise<NotClaimable | Superseded> {
  const session = await registry.metadata.read(() => claimable(request));
  return session.outcome === 'claimable' ? { outcome: 'superseded', offsetBytes: session.offsetBytes } : session;
}

function* claimable({ id, repo, range }: Pick<AppendRequest, 'id' | 'repo' | 'range'>): Operation<Claim> {
  const upload = yield* first(findUpload, { id, repo });
  if (upload === undefined) return { outcome: 'unknown' };
  if (upload.result_digest !== null) return { outcome: 'done', digest: upload.result_digest };
  if (upload.oid === null) return { outcome: 'unknown' };
  if (range !== undefined && range.first !== upload.offset_bytes) {
    return { outcome: 'out-of-order', offsetBytes: upload.offset_bytes };
  }
  return {
    outcome: 'claimable',
    oid: upload.oid,
    epoch: upload.epoch,
    progress: upload.progress,
    offsetBytes: upload.offset_bytes,
    algorithm: upload.algorithm,
    otherWriter: upload.writer ?? undefined,
    closingSeenAt: upload.closing_epoch === upload.epoch ? upload.touched_at : -Infinity,
  };
}

/** How many bytes a request announces, by its range or its length. */
function expectedBytesOf({ range, lengthBytes }: Chunk): number | undefined {
  return range === undefined ? lengthBytes : range.last - range.first + 1;
}

function isEmpty(chunk: Chunk): boolean {
  return chunk.body === null || chunk.lengthBytes === 0;
}

/** Whether a request only closes the session. */
function isClosing(request: AppendRequest): boolean {
  return request.isLast && isEmpty(request);
}

interface Receiving {
  readonly turn: WriterTurn;
  readonly epoch: number;
  readonly hasher: DigestHasher | undefined;
  readonly writer: BlobWriter;
  /** More bytes than the request announced are refused. */
  readonly limitBytes: number | undefined;
}

interface Received {
  readonly ended: 'complete' | 'stopped' | 'interrupted' | 'too-long' | 'too-short';
  readonly bytes: number;
  /** What the blob store has said at the end. */
  readonly progress: string;
}

/** Streams a body into the writer and the hash, and closes the writer whatever happens. */
async function receive(registry: Registry, request: AppendRequest, receiving: Receiving): Promise<Received> {
  const reader = request.body?.getReader();
  const incoming = request.incoming ?? registry.room.expect(receiving.limitBytes);
  receiving.turn.interruptBy(async () => {
    await reader?.cancel().catch(() => undefined);
  });
  let bytes = 0;
  let ended: Received['ended'] = 'complete';
  let end: WriterEnd = 'dropped';
  let progress: string;
  try {
    let lastHeartbeat = registry.clock.now();
    for (;;) {
      const next = await readNext(reader);
      if (receiving.turn.isStopped) ended = 'stopped';
      else if (next === 'interrupted') ended = 'interrupted';
      else if (next !== undefined && bytes + next.byteLength > (receiving.limitBytes ?? Infinity)) ended = 'too-long';
      if (ended !== 'complete' || next === undefined || next === 'interrupted') break;
      const beat = await heartbeat(registry, request.id, receiving.epoch, lastHeartbeat);
      if (beat === undefined) {
        ended = 'stopped';
        break;
      }
      lastHeartbeat = beat;
      bytes += next.byteLength;
      incoming.received(next.byteLength);
      const writing = receiving.writer.write(next);
      receiving.hasher?.update(next);
      if (writing !== undefined) await writing;
    }
    if (ended === 'complete' && bytes < (receiving.limitBytes ?? 0)) ended = 'too-short';
    end = endOf(ended, request);
  } finally {
    registry.traffic.pushed(bytes);
    incoming.end();
    progress = await receiving.writer.close(end);
  }
  return { ended, bytes, progress };
}

/** What becomes of what a request has brought. Who says where its bytes belong is most likely to bring more. */
function endOf(ended: Received['ended'], { isLast, range }: AppendRequest): WriterEnd {
  switch (ended) {
    case 'complete':
      if (isLast) return 'final';
      return range === undefined ? 'perhaps-final' : 'more';
    case 'interrupted':
      return 'more';
    case 'stopped':
    case 'too-long':
    case 'too-short':
      return 'dropped';
  }
}

/** The next bytes, undefined at the end, 'interrupted' where the client went away. */
async function readNext(
  reader: { read(): Promise<{ done: boolean; value?: Uint8Array | undefined }> } | undefined,
): Promise<Uint8Array | undefined | 'interrupted'> {
  if (reader === undefined) return undefined;
  try {
    const { done, value } = await reader.read();
    return done ? undefined : value;
  } catch {
    return 'interrupted';
  }
}

/**
 * Has other processes see that a session is worked on, also while the stores take long: to this one, its turn says so (R27).
 */
async function keptAlive<T>(registry: Registry, id: string, work: () => Promise<T>): Promise<T> {
  const { metadata, clock, log } = registry;
  if (!metadata.isShared) return await work();
  const keep = async (): Promise<void> => {
    try {
      await metadata.writeUnsynced(() => change(keepUpload, { id, now: clock.now() }));
    } catch (error) {
      log.warn({ err: error, upload: id }, 'other processes could not be told that an upload goes on; trying again');
    }
  };
  const timer = setInterval(() => void keep(), keepEveryMs(registry));
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/** How often a request at work tells other processes that it is, in ms. */
function keepEveryMs({ windows }: Registry): number {
  return Math.max(leastHeartbeatMs, Math.min(heartbeatMs, windows.uploadMs / 4));
}

/**
 * Says now and then that a session is written to. Whoever has lost it meanwhile, to another process or because it has
 * ended, must not write on: what it sent to a bucket could come after the object is removed and forgotten (R32).
 * @returns when that was said last; undefined where the session is lost
 */
async function heartbeat(registry: Registry, id: string, epoch: number, last: number): Promise<number | undefined> {
  const now = registry.clock.now();
  if (now - last < Math.min(heartbeatMs, registry.windows.uploadMs / 4)) return last;
  return (await holdsClaim(registry, id, epoch)) ? now : undefined;
}

/**
 * Where the disk or the database has no room for a request, what the session's row does not count is cut off its file:
 * that may be the very room that is missing, and the session goes on from where its row says. Needs the turn.
 */
export async function giveBack(registry: Registry, request: AppendRequest): Promise<Full | NotClaimable> {
  const session = await registry.metadata.read(() => claimable(request));
  if (session.outcome !== 'claimable') return session;
  await registry.blobs.truncate(session.oid, session.offsetBytes);
  return { outcome: 'full', offsetBytes: session.offsetBytes };
}

/** Records the offset; false where the session is no longer this writer's. Not synced: see openUpload. */
async function advance(
  registry: Registry,
  reached: { readonly id: string; readonly epoch: number; readonly offset: number; readonly progress: string },
): Promise<boolean> {
  const now = registry.clock.now();
  const changed = await registry.metadata.writeUnsynced(() => change(advanceUpload, { ...reached, now }));
  return changed > 0;
}

/**
 * After a power cut the file may be shorter than the session's row says, and a bucket may have lost the parts of an
 * upload: the session goes on from what is there.
 */
export async function shrink(
  registry: Registry,
  id: string,
  epoch: number,
  availableBytes: number,
): Promise<{ readonly outcome: 'out-of-order'; readonly offsetBytes: number }> {
  await advance(registry, { id, epoch, offset: availableBytes, progress: '' });
  return { outcome: 'out-of-order', offsetBytes: availableBytes };
}

/** Whether a writer's claim is still the newest. */
export async function holdsClaim(registry: Registry, id: string, epoch: number): Promise<boolean> {
  const now = registry.clock.now();
  return (await registry.metadata.writeUnsynced(() => change(touchUpload, { id, epoch, now }))) > 0;
}
