import type { Log } from '../log/log.ts';
import type { Operation } from '../metadata/operation.ts';
import { type Begun, RegistryReadOnlyError } from '../metadata/store.ts';
import { parseDigest } from '../oci/digest.ts';
import { parseRepositoryName } from '../oci/names.ts';
import { keepsHistory } from '../registry/history.ts';
import type { Registry } from '../registry/registry.ts';
import type { UploadSessions } from '../registry/uploads/sessions.ts';
import { ClockGuard } from './clock-guard.ts';
import { forgetOldEvents } from './old-events.ts';
import { DaysOfPulls, forgetOldHistory } from './old-history.ts';
import type { Pace } from './pace.ts';
import { claimDue, claimMs, dueNow, nextDueAt, postpone, putAway, type Task } from './queue.ts';
import type { Collected, ReviewOutcome } from './review.ts';
import type { ReviewTime } from './hold.ts';
import { reviewLink } from './review-link.ts';
import { reviewManifest } from './review-manifest.ts';
import { reviewObject } from './review-object.ts';
import { reviewUpload } from './review-upload.ts';

/** How many removals may be under way when no more reviews are begun: they wait for the disk, which pushes need too. */
const removalsAtOnce = 16;

/** How soon a task that failed is tried again, in ms: twice as late after each failure. */
const retryMs = { least: 1000, most: 3_600_000 };
/** How soon the queue is looked at after a commit, in ms: many commits share a look. */
const noticeMs = 200;
/** How often it is looked for events and history that are too old, in ms. */
const eventsLookMs = 600_000;
/** How often it is looked for old history where nothing else is to be done, in ms. */
const historyLookMs = 86_400_000;
/** How soon, and how late at most, a queue is looked at again that other processes use too, in ms. */
const sharedLookMs = { least: 500, most: 5000 };
/** How soon it is tried again where nothing may be changed for now, in ms. */
const readOnlyLookMs = 5000;
/** The longest time that a timer waits, in ms. */
const longestTimerMs = 2 ** 31 - 1;

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
  readonly #daysOfPulls = new DaysOfPulls();
  #eventsLookedAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #noticing: ReturnType<typeof setTimeout> | undefined;
  #working: Promise<void> | undefined;
  /** What may be being removed, by the task's key; each resolves when it is gone, or put off. */
  readonly #removals = new Map<string, Promise<void>>();
  /** Why a removal could be neither made nor put off. */
  #stoppedBy: { readonly error: unknown } | undefined;
  /** Resolves when something may have become due. */
  #woken = Promise.withResolvers<void>();
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
    this.#woken.resolve();
    this.#woken = Promise.withResolvers();
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
      if (error instanceof RegistryReadOnlyError) return this.#sleep(readOnlyLookMs);
      this.#log.error({ err: error }, 'the review queue could not be read; trying again');
      this.#sleep(retryMs.least);
    } finally {
      this.#working = undefined;
    }
  }

  async #workOffDue(mayGoOn: () => boolean, reviews = Infinity): Promise<void> {
    for (let left = reviews; left > 0 && mayGoOn() && this.#isClockTrusted();) {
      const startedAt = performance.now();
      const tasks = await this.#dueNow(Math.min(this.#pace.atOnce, left));
      if (tasks.length === 0 && this.#removals.size === 0) return await this.#forgetOld(mayGoOn);
      left -= tasks.length;
      await this.#handleAll(tasks);
      if (tasks.length > 0) await this.#rest(tasks, performance.now() - startedAt);
      if (tasks.length === 0 && this.#removals.size > 0) {
        await Promise.race([...this.#removals.values(), this.#woken.promise]);
      }
      this.#throwWhatStopped();
    }
    await Promise.all(this.#removals.values());
  }

  #beginRemoval(task: Task): void {
    const removal = this.#handle(task)
      .catch((error: unknown) => {
        this.#stoppedBy ??= { error };
      })
      .finally(() => this.#removals.delete(task.key1));
    this.#removals.set(task.key1, removal);
  }

  /** Where a removal that failed cannot even be put off, nothing can be written: looking again at once would not help. */
  #throwWhatStopped(): void {
    const stopped = this.#stoppedBy;
    this.#stoppedBy = undefined;
    if (stopped !== undefined) throw stopped.error;
  }

  /** Up to `limit` tasks that are due and not being worked on. */
  async #dueNow(limit: number): Promise<readonly Task[]> {
    const { clock, metadata } = this.#registry;
    // What is being removed is due as well, until it is gone; where a queue is shared, once its claim is over.
    const due = metadata.isShared
      ? await this.#claimDue(limit)
      : await metadata.read(() => dueNow(clock.now(), limit + this.#removals.size));
    return due.filter(({ key1 }) => !this.#removals.has(key1)).slice(0, limit);
  }

  async #claimDue(limit: number): Promise<readonly Task[]> {
    const { clock, metadata } = this.#registry;
    // To claim nothing is a commit as well, of which all processes would hear.
    if ((await metadata.read(() => dueNow(clock.now(), 1))).length === 0) return [];
    return await metadata.writeUnsynced(() => claimDue(clock.now(), limit), { byOwnRows: true });
  }

  /** Resolves when the reviews are made; what they have found to be removed goes on being removed. */
  async #handleAll(tasks: readonly Task[]): Promise<void> {
    // How long a manifest stays may depend on when it was pulled last (R25).
    if (tasks.some(({ kind }) => kind === 'manifest')) await this.#registry.pulls.flushQuietly();
    for (const task of tasks.filter(mayReclaim)) {
      while (this.#removals.size >= removalsAtOnce) await Promise.race(this.#removals.values());
      this.#beginRemoval(task);
    }
    await Promise.all(tasks.filter((task) => !mayReclaim(task)).map((task) => this.#handle(task)));
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

  async #forgetOld(mayGoOn: () => boolean): Promise<void> {
    const now = this.#registry.clock.now();
    if (now - this.#eventsLookedAt < eventsLookMs) return;
    this.#eventsLookedAt = now;
    await forgetOldHistory(this.#registry, this.#daysOfPulls, mayGoOn);
    if (this.#keepEventsMs === Infinity) return;
    await forgetOldEvents(this.#registry, now - this.#keepEventsMs, mayGoOn);
  }

  /** Lets requests have their turn. */
  async #rest(tasks: readonly Task[], tookMs: number): Promise<void> {
    const now = this.#registry.clock.now();
    const waitedMs = now - Math.min(now, ...tasks.map((task) => task.due_at));
    const restMs = this.#pace.restMs({ reviews: tasks.length, tookMs, waitedMs });
    await new Promise<void>((resolve) => {
      if (restMs >= 1) setTimeout(resolve, restMs);
      else setImmediate(resolve);
    });
  }

  async #handle(task: Task): Promise<void> {
    const { blobs, clock, immutability, metadata, quotas, reclaimer, sessions, windows } = this.#registry;
    try {
      const time = { now: clock.now(), windows, immutability, lateWritesMs: blobs.lateWritesMs };
      const reviewNow = function* reviewNow(begun: Begun): Operation<ReviewOutcome> {
        return yield* reviewed(task, { ...time, quotas: yield* quotas.at(begun) }, sessions);
      };
      // Bytes go only once it is on the disk that they may (R4, R37); nothing else that a review does must outlast a power cut.
      const outcome = await (mayReclaim(task)
        ? metadata.write(reviewNow, { fromReserve: true })
        : metadata.writeUnsynced(reviewNow, { fromReserve: true }));
      if (outcome.collected !== undefined) this.#counts.collected(outcome.collected);
      if (outcome.reclaim !== undefined) {
        const isFirst = await reclaimer.reclaim(outcome.reclaim.oid);
        if (isFirst) this.#counts.reclaimed(1, outcome.reclaim.sizeBytes);
      }
    } catch (error) {
      if (error instanceof RegistryReadOnlyError) throw error;
      this.#counts.failed();
      const attempts = task.attempts + 1;
      const dueAt = clock.now() + Math.min(retryMs.most, retryMs.least * 2 ** Math.min(attempts - 1, 20));
      this.#log.error({ err: error, kind: task.kind, key: task.key1, attempts }, 'a review failed and is tried again');
      await metadata.writeUnsynced(() => postpone({ ...task, attempts }, dueAt), { fromReserve: true });
    }
  }

  async #sleepUntilDue(): Promise<void> {
    const { clock, metadata } = this.#registry;
    // Pulls are remembered also where nothing is ever due.
    const lookMs = keepsHistory(this.#registry.windows) ? historyLookMs : Infinity;
    const dueAt = (await metadata.read(nextDueAt)) ?? clock.now() + lookMs;
    // What others have put into a queue that is shared, or have not come to the end of, is not told here.
    const { least, most } = metadata.isShared ? sharedLookMs : { least: 1, most: lookMs };
    if (dueAt !== Infinity || metadata.isShared)
      this.#sleep(Math.max(Math.min(dueAt - clock.now(), lookMs, most), this.#clockGuard.distrustedMs, least));
  }

  #sleep(ms: number): void {
    if (this.#isStopped || this.#isPaused) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.wake(), Math.min(ms, longestTimerMs));
    this.#timer.unref();
  }
}

/** Whether the review of a task may find a file that can be removed. */
function mayReclaim({ kind }: Task): boolean {
  return kind === 'object' || kind === 'upload';
}

/** One task's transaction: its review, and the task put away. */
function* reviewed(task: Task, time: ReviewTime, sessions: UploadSessions): Operation<ReviewOutcome> {
  const outcome = yield* review(task, time, sessions);
  // Whoever takes tasks from the same queue leaves the bytes to this process as long as it may be removing them.
  yield* putAway(task, outcome.againAt, outcome.reclaim === undefined ? 0 : time.now + claimMs);
  return outcome;
}

function* review({ kind, key1, key2 }: Task, time: ReviewTime, sessions: UploadSessions): Operation<ReviewOutcome> {
  switch (kind) {
    case 'object':
      return yield* reviewObject(key1, time);
    case 'upload':
      return yield* reviewUpload(key1, time, sessions);
    case 'manifest':
    case 'link': {
      const repo = parseRepositoryName(key1);
      const digest = parseDigest(key2);
      if (repo === undefined || digest === undefined) throw new Error(`${key1} ${key2} is no task's key`);
      return yield* kind === 'manifest' ? reviewManifest(repo, digest, time) : reviewLink(repo, digest, time);
    }
  }
}
