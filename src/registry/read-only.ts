import { readOnly as readOnlyMigration } from '../metadata/migrations/0022-read-only.ts';
import { change, first, type Operation } from '../metadata/operation.ts';
import { deleteReadOnly, findReadOnly, renewReadOnly, upsertReadOnly } from '../metadata/queries/read-only.ts';
import type { ReadOnlyTable } from '../metadata/schema.ts';
import { RegistryReadOnlyError } from '../metadata/store.ts';
import { type Actor, switchActor } from './actor.ts';
import { evenReadOnly } from './even-read-only.ts';
import { recordEvent } from './events.ts';
import type { Registry } from './registry.ts';

/** Why nothing may be changed. */
export interface ReadOnlyState {
  readonly reason: string;
  readonly setBy: string;
  /** In ms since 1970. */
  readonly setAt: number;
  /** When it ends unless it is renewed, in ms since 1970; undefined where it does not end by itself. */
  readonly until: number | undefined;
  /** Where the registry has been moved to, so that nothing must be changed here any more. */
  readonly movedTo: string | undefined;
}

export interface ReadOnlyRequest {
  readonly reason: string;
  readonly actor: Actor;
  /** Of whoever is going to renew or end it; empty for a person. */
  readonly token: string;
  /** For how long it holds without being renewed, in ms; undefined where it does not end by itself. */
  readonly leaseMs?: number | undefined;
  readonly movedTo?: string | undefined;
  /** Only where it is set already, with this token, and has never ended since. */
  readonly isHeld?: boolean;
}

type Parts = Pick<Registry, 'metadata' | 'clock'>;

/**
 * Lets nothing be changed from here on, also over restarts: every transaction that has not begun to change something is
 * refused. What was acknowledged before is seen by every read after it.
 *
 * @returns false where somebody else has set it, or, for one that is to be held, where it has ended meanwhile
 */
export async function makeReadOnly({ metadata, clock }: Parts, request: ReadOnlyRequest): Promise<boolean> {
  const { reason, actor, token, leaseMs, movedTo, isHeld = false } = request;
  const now = clock.now();
  return await metadata.write(function* set(): Operation<boolean> {
    const there = yield* first(findReadOnly, {});
    if (isHeld && there?.token !== token) return false;
    // One that nobody has renewed in time may be taken over: whoever held it is told that it was.
    const isOverdue = there !== undefined && there.until !== null && there.until <= now;
    if (there !== undefined && there.token !== token && !isOverdue) return false;
    const until = leaseMs === undefined ? null : now + leaseMs;
    yield* change(upsertReadOnly, { reason, setBy: actor.text, now, token, until, movedTo: movedTo ?? null });
    yield* recordEvent({ at: now, kind: 'readonly.on', actor, reason });
    return true;
  }, evenReadOnly);
}

/** @returns false where it has ended meanwhile: something may have been changed */
export async function holdReadOnly(
  { metadata, clock }: Parts,
  { token, leaseMs }: { readonly token: string; readonly leaseMs: number },
): Promise<boolean> {
  const until = clock.now() + leaseMs;
  return (await metadata.writeUnsynced(() => change(renewReadOnly, { token, until }), evenReadOnly)) > 0;
}

/** Lets it be changed again; does nothing where it may be. @returns why it still may not be: it was moved elsewhere */
export async function makeWritable(
  { metadata, clock }: Parts,
  { actor, token, isForced = false }: { readonly actor: Actor; readonly token?: string; readonly isForced?: boolean },
): Promise<ReadOnlyState | undefined> {
  const now = clock.now();
  return await metadata.write(function* end(): Operation<ReadOnlyState | undefined> {
    const there = yield* first(findReadOnly, {});
    if (there === undefined || (token !== undefined && there.token !== token)) return undefined;
    if (there.moved_to !== null && !isForced) return stateOf(there);
    yield* change(deleteReadOnly, {});
    yield* recordEvent({ at: now, kind: 'readonly.off', actor, reason: `it was read-only: ${there.reason}` });
    return undefined;
  }, evenReadOnly);
}

/** Undefined where it may be changed. */
export async function readOnlyState({ metadata }: Pick<Registry, 'metadata'>): Promise<ReadOnlyState | undefined> {
  const row = await metadata.read(() => first(findReadOnly, {}));
  return row === undefined ? undefined : stateOf(row);
}

/** Processes of versions that do not know of this and go on changing things, in words; none where nobody else may. */
export async function unheedingOfReadOnly({ metadata }: Pick<Registry, 'metadata'>): Promise<readonly string[]> {
  return await metadata.processesBefore(readOnlyMigration.number);
}

/** Ends what nobody has renewed in time. @returns why it was, or is, read-only; undefined where it was not */
export async function endOverdue({ metadata, clock }: Parts): Promise<ReadOnlyState | undefined> {
  const row = await metadata.read(() => first(findReadOnly, {}));
  if (row === undefined) return undefined;
  if (row.until === null || row.until > clock.now()) return stateOf(row);
  const now = clock.now();
  await metadata.write(function* end(): Operation<void> {
    const there = yield* first(findReadOnly, {});
    if (there === undefined || there.until === null || there.until > now) return;
    yield* change(deleteReadOnly, {});
    yield* recordEvent({
      at: now,
      kind: 'readonly.off',
      actor: switchActor,
      reason: `nobody has renewed: ${there.reason}`,
    });
  }, evenReadOnly);
  return stateOf(row);
}

/**
 * A change that only makes something stay for longer, such as the renewal of a lease: while nothing may be changed, nothing
 * goes either, and whoever asks gets the answer all the same.
 */
export async function whereWritable<T>(renew: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await renew();
  } catch (error) {
    if (error instanceof RegistryReadOnlyError) return otherwise;
    throw error;
  }
}

/** What the row says. */
export function stateOf({ reason, set_by, set_at, until, moved_to }: ReadOnlyTable): ReadOnlyState {
  return { reason, setBy: set_by, setAt: set_at, until: until ?? undefined, movedTo: moved_to ?? undefined };
}
