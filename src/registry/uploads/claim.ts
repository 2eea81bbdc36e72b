import type { ObjectId } from '../../blobs/store.ts';
import { change, first, type Operation } from '../../metadata/operation.ts';
import { beginIncarnation } from '../../metadata/queries/incarnation.ts';
import {
  advanceUpload,
  becomeOnlyWriter,
  beginUploadEpoch,
  findUpload,
  findUploadToWrite,
  touchUpload,
} from '../../metadata/queries/uploads.ts';
import { MetadataFullError } from '../../metadata/store.ts';
import type { Digest, DigestAlgorithm, DigestHasher } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/names.ts';
import type { Query } from '../../metadata/query.ts';
import type { IdGenerator } from '../id-generator.ts';
import type { Registry } from '../registry.ts';
import { type AppendRequest, isClosing } from './request.ts';
import type { WriterTurn } from './sessions.ts';

/** A writer's right to a session, until the next one comes. */
export interface UploadClaim {
  readonly oid: ObjectId;
  readonly epoch: number;
  /** That of the database under which it was claimed; null where only this process uses it. */
  readonly incarnation: string | null;
  /** What the blob store has said of the bytes so far. */
  readonly progress: string;
  /** The hash of all bytes so far; undefined where they have to be read again. */
  readonly hasher: DigestHasher | undefined;
}

/** Another request has taken the session over (R31). */
export interface Superseded {
  readonly outcome: 'superseded';
  readonly offsetBytes: number;
}

/** The rows of its session decide, and it changes them. */
const byOwnRows = { byOwnRows: true };

export type Claim = Claimed | WrittenElsewhere | NotClaimable;

export interface Claimable {
  readonly outcome: 'claimable';
  readonly oid: ObjectId;
  readonly epoch: number;
  readonly offsetBytes: number;
  readonly algorithm: DigestAlgorithm;
  /** Which process may not have come to the end of its writing; of a claim, where that is another one that has to end. */
  readonly otherWriter: string | undefined;
  /** When it was last seen that a request closes it; -Infinity where none does. */
  readonly closingSeenAt: number;
}

interface Claimed extends Claimable {
  /** That of the database. */
  readonly incarnation: string | null;
  /** What the blob store has said of the bytes so far. */
  readonly progress: string;
}

/**
 * Another process may still be writing to the session's object, and cannot be asked: the session is to be taken over into an
 * object of its own before it is claimed (takeover.ts). Nothing of it was changed.
 */
export interface WrittenElsewhere {
  readonly outcome: 'written-elsewhere';
  readonly oid: ObjectId;
  readonly epoch: number;
  readonly offsetBytes: number;
  readonly writer: string | null;
}

export type NotClaimable =
  | { readonly outcome: 'unknown' }
  | { readonly outcome: 'done'; readonly digest: Digest }
  | { readonly outcome: 'out-of-order'; readonly offsetBytes: number };

/**
 * Claims a session under a new epoch. Whether somebody else may be writing to its object is decided by the row that the
 * claim changes, in the same transaction: so of two processes that want it at once the second sees the first.
 */
export async function claim(registry: Registry, request: AppendRequest, turn: WriterTurn): Promise<Claim> {
  try {
    return await claimAs(registry, request, turn);
  } catch (error) {
    // It was undone: the epoch may be another process's by now.
    if (error instanceof MetadataFullError) turn.notClaimed();
    throw error;
  }
}

async function claimAs(registry: Registry, request: AppendRequest, turn: WriterTurn): Promise<Claim> {
  const { metadata, blobs, siblings, clock, ids } = registry;
  const now = clock.now();
  /** Others whom only the database tells of. */
  const areSeveral = metadata.isShared && !siblings.areAll;
  return await metadata.writeUnsynced(function* claimSession(): Operation<Claim> {
    // What it has claimed in a transaction that was undone is not its own.
    turn.notClaimed();
    const { id, repo } = request;
    const upload = yield* first(findUploadToWrite, { id, repo });
    if (upload === undefined) return { outcome: 'unknown' };
    const session = standing(upload, request);
    if (session.outcome !== 'claimable') return session;
    const { writer: own } = registry.sessions;
    const other = session.otherWriter === own ? undefined : session.otherWriter;
    const incarnation = upload.current_incarnation ?? (areSeveral ? yield* newIncarnation(ids) : null);
    // Somebody may be writing under a claim that is lost, of which this row says nothing (ADR 19).
    const mayHaveLostClaims = upload.incarnation !== incarnation;
    if (areSeveral && blobs.copy !== undefined && (other !== undefined || mayHaveLostClaims)) {
      const { oid, epoch, offsetBytes } = session;
      return { outcome: 'written-elsewhere', oid, epoch, offsetBytes, writer: upload.writer };
    }
    // Where one is left out, a bucket is searched for what nobody has written down, before the upload is published.
    const epoch = session.epoch + (mayHaveLostClaims ? 2 : 1);
    // That stays written down until it is known to have ended, whatever becomes of this claim.
    const otherWriter = siblings.areAll ? other : undefined;
    // Before it can be seen: whoever claims it next has to find that this has.
    turn.claimed(epoch, session.oid);
    if (isClosing(request)) turn.verifies();
    const closing = isClosing(request) ? epoch : null;
    yield* change(beginUploadEpoch, { id: request.id, epoch, incarnation, writer: otherWriter ?? own, closing, now });
    return { ...session, epoch, incarnation, otherWriter, progress: upload.progress };
  }, byOwnRows);
}

function* newIncarnation(ids: IdGenerator): Operation<string> {
  const id = ids.objectId();
  yield* change(beginIncarnation, { id });
  return id;
}

/** Writes down that no other writer of a session is left; false where it was claimed again meanwhile. */
export async function becomeWriter(registry: Registry, id: string, epoch: number): Promise<boolean> {
  const { writer } = registry.sessions;
  const now = registry.clock.now();
  return (
    (await registry.metadata.writeUnsynced(() => change(becomeOnlyWriter, { id, epoch, writer, now }), byOwnRows)) > 0
  );
}

/** How a session stands that was claimed, and that another request has come to the end of, or claimed, since. */
export async function lost(
  registry: Registry,
  request: Pick<AppendRequest, 'id' | 'repo' | 'range'>,
): Promise<NotClaimable | Superseded> {
  const session = await registry.metadata.read(() => claimable(request));
  return session.outcome === 'claimable' ? { outcome: 'superseded', offsetBytes: session.offsetBytes } : session;
}

type Asked = Pick<AppendRequest, 'id' | 'repo' | 'range'>;

export function* claimable({ id, repo, range }: Asked): Operation<Claimable | NotClaimable> {
  const upload = yield* first(findUpload, { id, repo });
  return upload === undefined ? { outcome: 'unknown' } : standing(upload, { range });
}

type UploadRow = typeof findUpload extends Query<{ id: string; repo: RepositoryName }, infer Row> ? Row : never;

/** How a session stands for a request, by its row. */
function standing(upload: UploadRow, { range }: Pick<Asked, 'range'>): Claimable | NotClaimable {
  if (upload.result_digest !== null) return { outcome: 'done', digest: upload.result_digest };
  if (upload.oid === null) return { outcome: 'unknown' };
  if (range !== undefined && range.first !== upload.offset_bytes) {
    return { outcome: 'out-of-order', offsetBytes: upload.offset_bytes };
  }
  return {
    outcome: 'claimable',
    oid: upload.oid,
    epoch: upload.epoch,
    offsetBytes: upload.offset_bytes,
    algorithm: upload.algorithm,
    otherWriter: upload.writer ?? undefined,
    closingSeenAt: upload.closing_epoch === upload.epoch ? upload.touched_at : -Infinity,
  };
}

/** Records the offset; false where the session is no longer this writer's. Not synced: see openUpload. */
export async function advance(
  registry: Registry,
  reached: { readonly id: string; readonly epoch: number; readonly offset: number; readonly progress: string },
): Promise<boolean> {
  const now = registry.clock.now();
  const { writer } = registry.sessions;
  const changed = await registry.metadata.writeUnsynced(
    () => change(advanceUpload, { ...reached, writer, now }),
    byOwnRows,
  );
  return changed > 0;
}

/**
 * After a power cut the file may be shorter than the session's row says, and a bucket may have lost the parts of an
 * upload: the session goes on from what is there. Not one that is another's by now, who has all that it needs.
 */
export async function shrink(
  registry: Registry,
  request: Pick<AppendRequest, 'id' | 'repo'>,
  epoch: number,
  availableBytes: number,
): Promise<NotClaimable | Superseded> {
  const isOwn = await advance(registry, { id: request.id, epoch, offset: availableBytes, progress: '' });
  if (!isOwn) return await lost(registry, { ...request, range: undefined });
  return { outcome: 'out-of-order', offsetBytes: availableBytes };
}

/** Whether a writer's claim is still the newest. */
export async function holdsClaim(registry: Registry, id: string, epoch: number): Promise<boolean> {
  const now = registry.clock.now();
  const { writer } = registry.sessions;
  return (await registry.metadata.writeUnsynced(() => change(touchUpload, { id, epoch, writer, now }), byOwnRows)) > 0;
}
