import type { Log } from '../log/log.ts';
import type { Operation } from '../metadata/operation.ts';
import { parseDigest } from '../oci/digest.ts';
import { parseRepositoryName } from '../oci/names.ts';
import type { Registry } from '../registry/registry.ts';
import { ClockGuard } from './clock-guard.ts';
import { forgetOldEvents } from './old-events.ts';
import { dueNow, nextDueAt, postpone, putAway, type Task } from './queue.ts';
import type { Collected, ReviewOutcome } from './review.ts';
import type { ReviewTime } from './hold.ts';
import { reviewLink } from './review-link.ts';
import { reviewManifest } from './review-manifest.ts';
import { reviewObject } from './review-object.ts';
import { reviewUpload } from './review-upload.ts';

/** How soon a task that failed is tried again, in ms: twice as late after each failure. */
const retryMs = { least: 1000, most: 3_600_000 };
/** How soon the queue is looked at after a commit, in ms: many commits share a look. */
const noticeMs = 200;
/** How often it is looked for events that are too old, in ms: there are new ones only where something is collected. */
const eventsLookMs = 600_000;
/** The longest time that a timer waits, in ms. */
const longestTimerMs = 2 ** 31 - 1;

/** How fast the collector works. */
export interface Pace {
  /** Reviews between two looks at whether requests are waiting. */
  readonly batch: number;
  /** Reviews a second, at most. */
  readonly perSecond: number;
}

/** Whoever counts what is collected. */
export interface CollectorCounts {
  collected(collected: Collected): void;
  reclaimed(objects: number, sizeBytes: number): void;
  failed(): void;
}

export interface CollectorParts {
  readonly registry: Registry;
  readonly pace: Pace;
  readonly counts: CollectorCounts;
  readonly log: Log;
  /** How long it is remembered what happened, in ms. */
  readonly keepEventsMs?: number;
}

/**
 * Works the review queue off: each task in a transaction of its own (R48), a few at a time, and gives requests their turn
 * in between (R49). It sleeps until a task is due, and looks again soon after something was committed, which may have made one due earlier.
 */
export class Collector {
  readonly #registry: Registry;
  readonly #pace: Pace;
  readonly #counts: CollectorCounts;
  readonly #log: Log;
  readonly #clockGuard: ClockGuard;
  readonly #keepEventsMs: number;
  #eventsLookedAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #noticing: ReturnType<typeof setTimeout> | undefined;
  #working: Promise<void> | undefined;
  #isStopped = true;
  #isPaused = false;
  /** Something was committed since the queue was last looked at. */
  #mayHaveMore = false;

  constructor({ registry, pace, counts, log, keepEventsMs = Infinity }: CollectorParts) {
    this.#registry = registry;
    this.#pace = pace;
    this.#counts = counts;
    this.#log = log;
    this.#clockGuard = new ClockGuard(registry.clock);
    this.#keepEventsMs = keepEventsMs;
  }

  start(): void {
    this.#isStopped = false;
    this.wake();
  }

  /** Takes up nothing more; resolves when what it has begun is done. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#noticing);
    await this.#working;
  }

  pause(): void {
    this.#isPaused = true;
    clearTimeout(this.#timer);
  }

  resume(): void {
    this.#isPaused = false;
    this.wake();
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Something was committed that may be due: looks at the queue soon. */
  notice(): void {
    if (this.#noticing !== undefined || this.#isStopped || this.#isPaused) return;
    this.#noticing = setTimeout(() => {
      this.#noticing = undefined;
      this.wake();
    }, noticeMs);
    this.#noticing.unref();
  }

  /** Looks at the queue now, or again when the look under way is over. */
  wake(): void {
    if (this.#isStopped || this.#isPaused) return;
    this.#mayHaveMore = true;
    if (this.#working === undefined) {
      clearTimeout(this.#timer);
      this.#working = this.#work();
    }
  }

  /**
   * Works off all that is due now, or so many reviews of it, also while it is paused or has not been started; resolves
   * when nothing is due, or they are done.
   */
  async workOff(reviews = Infinity): Promise<void> {
    while (this.#working !== undefined) await this.#working;
    await this.#workOffDue(() => true, reviews);
  }

  async #work(): Promise<void> {
    try {
      while (this.#mayHaveMore && !this.#isStopped && !this.#isPaused) {
        this.#mayHaveMore = false;
        await this.#workOffDue(() => !this.#isStopped && !this.#isPaused);
      }
      await this.#sleepUntilDue();
    } catch (error) {
      this.#log.error({ err: error }, 'the review queue could not be read; trying again');
      this.#sleep(retryMs.least);
    } finally {
      this.#working = undefined;
    }
  }

  async #workOffDue(mayGoOn: () => boolean, reviews = Infinity): Promise<void> {
    const { clock, metadata, pulls } = this.#registry;
    for (let left = reviews; left > 0 && mayGoOn() && this.#isClockTrusted();) {
      const startedAt = performance.now();
      const atOnce = Math.min(this.#pace.batch, left);
      const tasks = await metadata.read(() => dueNow(clock.now(), atOnce));
      if (tasks.length === 0) return await this.#forgetOldEvents(mayGoOn);
      left -= tasks.length;
      // How long a manifest stays may depend on when it was pulled last (R25).
      if (tasks.some(({ kind }) => kind === 'manifest')) await pulls.flushQuietly();
      await Promise.all(tasks.map((task) => this.#handle(task)));
      await this.#keepPace(tasks.length, startedAt);
    }
  }

  /** Whether the clock was not set just now: whatever ends by the clock would end at the wrong time. */
  #isClockTrusted(): boolean {
    const setByMs = this.#clockGuard.look();
    const { distrustedMs } = this.#clockGuard;
    if (setByMs !== 0) {
      this.#log.error({ setByMs, distrustedMs }, 'the clock was set, so nothing is collected for a while');
    }
    return distrustedMs === 0;
  }

  async #forgetOldEvents(mayGoOn: () => boolean): Promise<void> {
    const now = this.#registry.clock.now();
    if (this.#keepEventsMs === Infinity || now - this.#eventsLookedAt < eventsLookMs) return;
    this.#eventsLookedAt = now;
    await forgetOldEvents(this.#registry, now - this.#keepEventsMs, mayGoOn);
  }

  /** Lets requests have their turn, and waits where that was faster than allowed. */
  async #keepPace(reviews: number, startedAt: number): Promise<void> {
    const leastMs = (reviews / this.#pace.perSecond) * 1000;
    const waitMs = leastMs - (performance.now() - startedAt);
    await new Promise<void>((resolve) => {
      if (waitMs >= 1) setTimeout(resolve, waitMs);
      else setImmediate(resolve);
    });
  }

  async #handle(task: Task): Promise<void> {
    const { clock, metadata, reclaimer, sessions, windows } = this.#registry;
    try {
      const time = { now: clock.now(), windows };
      const isWriting = () => task.kind === 'upload' && sessions.isWriting(task.key1);
      // Bytes go only once it is on the disk that they may (R4, R37); nothing else that a review does must outlast a power cut.
      const mayReclaim = task.kind === 'object' || task.kind === 'upload';
      const outcome = await (mayReclaim
        ? metadata.write(() => reviewed(task, time, isWriting()), { fromReserve: true })
        : metadata.writeUnsynced(() => reviewed(task, time, false), { fromReserve: true }));
      if (outcome.collected !== undefined) this.#counts.collected(outcome.collected);
      if (outcome.reclaim !== undefined) {
        await reclaimer.reclaim(outcome.reclaim.oid);
        this.#counts.reclaimed(1, outcome.reclaim.sizeBytes);
      }
    } catch (error) {
      this.#counts.failed();
      const attempts = task.attempts + 1;
      const dueAt = clock.now() + Math.min(retryMs.most, retryMs.least * 2 ** Math.min(attempts - 1, 20));
      this.#log.error({ err: error, kind: task.kind, key: task.key1, attempts }, 'a review failed and is tried again');
      await metadata.writeUnsynced(() => postpone({ ...task, attempts }, dueAt));
    }
  }

  async #sleepUntilDue(): Promise<void> {
    const { clock, metadata } = this.#registry;
    const dueAt = await metadata.read(nextDueAt);
    if (dueAt !== undefined) this.#sleep(Math.max(dueAt - clock.now(), this.#clockGuard.distrustedMs, 1));
  }

  #sleep(ms: number): void {
    if (this.#isStopped || this.#isPaused) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.wake(), Math.min(ms, longestTimerMs));
    this.#timer.unref();
  }
}

/** One task's transaction: its review, and the task put away. */
function* reviewed(task: Task, time: ReviewTime, isWriting: boolean): Operation<ReviewOutcome> {
  const outcome = yield* review(task, time, isWriting);
  yield* putAway(task, outcome.againAt);
  return outcome;
}

function* review({ kind, key1, key2 }: Task, time: ReviewTime, isWriting: boolean): Operation<ReviewOutcome> {
  switch (kind) {
    case 'object':
      return yield* reviewObject(key1, time);
    case 'upload':
      return yield* reviewUpload(key1, time, isWriting);
    case 'manifest':
    case 'link': {
      const repo = parseRepositoryName(key1);
      const digest = parseDigest(key2);
      if (repo === undefined || digest === undefined) throw new Error(`${key1} ${key2} is no task's key`);
      return yield* kind === 'manifest' ? reviewManifest(repo, digest, time) : reviewLink(repo, digest, time);
    }
  }
}
