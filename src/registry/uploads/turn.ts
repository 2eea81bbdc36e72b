import { change } from '../../metadata/operation.ts';
import { endClosing } from '../../metadata/queries/uploads.ts';
import type { Registry } from '../registry.ts';
import { SiblingBusyError } from '../siblings.ts';
import { claimable, type NotClaimable, type Superseded } from './claim.ts';
import { removeLateBytes } from './drop.ts';
import { keepEveryMs, keptAlive } from './heartbeat.ts';
import { type AppendRequest, expectedBytesOf, isClosing, type LengthMismatch } from './request.ts';
import type { WriterTurn } from './sessions.ts';
import { awaitVerification } from './writers.ts';

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
    await metadata.writeUnsynced(() => change(endClosing, { id, epoch }), { byOwnRows: true });
  } catch (error) {
    log.warn(
      { err: error, upload: id },
      'other processes could not be told that an upload is not being closed any more',
    );
  }
}
