import { change, first, type Operation } from '../metadata/operation.ts';
import { deleteCollectorPause, findCollectorPause, insertCollectorPause } from '../metadata/queries/collector-pause.ts';
import { dueFigures, nextTask } from '../metadata/queries/tasks.ts';
import type { Actor } from './actor.ts';
import { recordEvent } from './events.ts';
import type { Registry } from './registry.ts';

/** The queue is counted no further than this. */
export const mostCountedReviews = 10_000;

/** Why nothing is collected. */
export interface CollectorPause {
  readonly reason: string;
  readonly pausedBy: string;
  /** In ms since 1970. */
  readonly pausedAt: number;
}

/** Keeps the collector paused, also over a restart, until it is resumed. Paused already, it stays so, for the newer reason. */
export async function pauseCollector(
  { metadata, clock }: Registry,
  { reason, actor }: { readonly reason: string; readonly actor: Actor },
): Promise<void> {
  const now = clock.now();
  await metadata.write(
    function* pause(): Operation<void> {
      yield* change(insertCollectorPause, { reason, pausedBy: actor.text, now });
      yield* recordEvent({ at: now, kind: 'collector.paused', actor, reason });
    },
    { fromReserve: true },
  );
}

export async function resumeCollector({ metadata, clock }: Registry, actor: Actor): Promise<void> {
  const now = clock.now();
  await metadata.write(
    function* resume(): Operation<void> {
      const resumed = yield* change(deleteCollectorPause, {});
      if (resumed > 0) yield* recordEvent({ at: now, kind: 'collector.resumed', actor });
    },
    { fromReserve: true },
  );
}

/** Undefined where it is not paused. */
export async function collectorPause({ metadata }: Registry): Promise<CollectorPause | undefined> {
  const row = await metadata.read(() => first(findCollectorPause, {}));
  return row === undefined ? undefined : { reason: row.reason, pausedBy: row.paused_by, pausedAt: row.paused_at };
}

export interface DueReviews {
  /** When that was so, in ms since 1970. */
  readonly at: number;
  /** `mostCountedReviews` may stand for more. */
  readonly count: number;
  /** For how long the first of them has been due; 0 where none is. */
  readonly oldestDueMs: number;
  /** When the first review of all is due, in ms since 1970. */
  readonly nextDueAt: number | undefined;
}

/** How far the collector is behind. */
export async function dueReviews({ metadata, clock }: Pick<Registry, 'metadata' | 'clock'>): Promise<DueReviews> {
  const now = clock.now();
  return await metadata.read(function* due(): Operation<DueReviews> {
    const figures = yield* first(dueFigures, { now, limit: mostCountedReviews });
    const next = yield* first(nextTask, {});
    const oldest = figures?.oldest ?? now;
    return { at: now, count: figures?.count ?? 0, oldestDueMs: now - oldest, nextDueAt: next?.due_at };
  });
}
