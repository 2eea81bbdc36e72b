import { all, change, first, type Operation } from '../metadata/operation.ts';
import { findCollectorPause } from '../metadata/queries/collector-pause.ts';
import { claimTasks, dueTasks, finishTask, nextTask, postponeTask } from '../metadata/queries/tasks.ts';
import type { TaskKind } from '../metadata/schema.ts';

/** Something to review. */
export interface Task {
  readonly kind: TaskKind;
  readonly key1: string;
  readonly key2: string;
  /** In ms since 1970. */
  readonly due_at: number;
  /** Tells whether somebody has asked for another review since the task was taken. */
  readonly version: number;
  /** How often in a row it has failed. */
  readonly attempts: number;
}

/** Up to `limit` tasks that are due, the longest due first. */
export function* dueNow(now: number, limit: number): Operation<readonly Task[]> {
  return yield* all(dueTasks, { now, limit });
}

/** How long a process has a task for itself, in ms: where it ends meanwhile, another one takes the task up after that. */
export const claimMs = 60_000;

/** The same where several processes work the queue off, each task in one of them. */
export function* claimDue(now: number, limit: number): Operation<readonly Task[]> {
  // Any of the processes may have been told to pause.
  if ((yield* first(findCollectorPause, {})) !== undefined) return [];
  const claimed = yield* all(claimTasks, { now, until: now + claimMs, limit });
  return claimed.toSorted((a, b) => a.due_at - b.due_at);
}

/**
 * Puts a task away that has been worked on: for good, or until `againAt`. Whoever has asked for a review meanwhile gets
 * it (R44). Always the last statements of a review's transaction (protocol.md, section 3).
 * @param claimedUntil until when it is nobody else's all the same, in ms since 1970
 */
export function* putAway(
  { kind, key1, key2, version }: Task,
  againAt: number | undefined,
  claimedUntil = 0,
): Operation<void> {
  if (againAt === undefined && (yield* change(finishTask, { kind, key1, key2, version })) > 0) return;
  // Where it is not there any more, somebody else has finished it.
  yield* change(postponeTask, { kind, key1, key2, version, dueAt: againAt ?? 0, attempts: 0, claimedUntil });
}

/** Puts a task back until `dueAt`, remembering how often it has failed. */
export function* postpone({ kind, key1, key2, version, attempts }: Task, dueAt: number): Operation<void> {
  yield* change(postponeTask, { kind, key1, key2, version, dueAt, attempts, claimedUntil: 0 });
}

/** When the first task is due, in ms since 1970; undefined where there is none. */
export function* nextDueAt(): Operation<number | undefined> {
  return (yield* first(nextTask, {}))?.due_at;
}
