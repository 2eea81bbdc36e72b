import { setImmediate } from 'node:timers/promises';
import { first, type Operation } from '../metadata/operation.ts';
import { nextRetentionReview } from '../metadata/queries/retention-reviews.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Actor } from '../registry/actor.ts';
import type { Registry } from '../registry/registry.ts';
import type { Policy } from '../retention/policy.ts';
import type { PolicySet } from '../retention/policy-set.ts';
import { PolicyApprovals, type PolicyState } from './approvals.ts';
import { ClockWatch, type PruningPause } from './clock-watch.ts';
import { makeRoom, type RoomRequest } from './make-room.ts';
import type { PolicyScope } from './policy-scope.ts';
import { nothingPruned, type Pruned, pruneRepository, sumOf } from './prune-repository.ts';
import { takeDue, type TakenReview } from './queue.ts';

/** How soon a repository whose look failed is looked at again, in ms: twice as late after each failure. */
const retryMs = { least: 1000, most: 3_600_000 };
/** A repository that changes all the time is looked at for no more than this part of the time, where a look takes long. */
const shareOfLooks = 0.02;
/** It is left alone no longer than this, in ms: a look may have waited for something else. */
const longestRestMs = 600_000;
/** Looks that take less are not counted, in ms. */
const shortLookMs = 250;
/** Repositories of which it is remembered that a look at them takes long. */
const mostRested = 1000;
/** How soon after a commit the queue is looked at, in ms: many commits share a look. */
const noticeMs = 500;
/** How often the clock is looked at, and which policies are approved, in ms, also while nothing is due. */
const clockLookMs = 60_000;
/** How soon a repository is looked at again that this process leaves to others, which go by other policies, in ms. */
const othersLookMs = 600_000;

export interface PrunerSettings {
  /** How soon after a change a repository is looked at, in ms. */
  readonly lookAfterMs: number;
  /** So long before its end it is told of a tag that it is coming, in ms. */
  readonly noticeMs: number;
  /** By how much the clock may be set between two looks, in ms. */
  readonly largestClockStepMs: number;
  /** How long nothing is pruned after the clock was set by more, in ms. */
  readonly clockPauseMs: number;
}

/** Whoever counts what is pruned. */
export interface PrunerCounts {
  pruned(pruned: Pruned): void;
}

export interface PrunerParts {
  readonly registry: Registry;
  readonly set: PolicySet;
  readonly scope: PolicyScope;
  readonly settings: PrunerSettings;
  /** Whether nothing may be taken away, whatever is due; asked again before each batch. */
  readonly isHeld: () => Promise<boolean>;
  /** How long to rest after work that took so long, in ms. */
  readonly restMs: (tookMs: number) => number;
  readonly counts: PrunerCounts;
}

/** One policy, and whether it may prune. */
export interface StandingPolicy {
  readonly policy: Policy;
  readonly state: PolicyState;
}

/**
 * Has policies do what they say: takes the repositories that are due from their queue, one after the other, and sleeps
 * until the next one is. A repository is due soon after it has changed, and when time alone changes something.
 */
export class Pruner {
  readonly #parts: PrunerParts;
  readonly #approvals: PolicyApprovals;
  /** Until when repositories are left alone whose last look took long, by the steady clock. */
  readonly #restedUntil = new Map<RepositoryName, number>();
  readonly #clock: ClockWatch;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #noticing: ReturnType<typeof setTimeout> | undefined;
  #working: Promise<void> | undefined;
  #mayHaveMore = false;
  /** When the policies are to be looked at next, by the steady clock. */
  #lookAtPoliciesAt = -Infinity;
  #isStopped = true;
  #isStopping = false;
  #endRest: () => void = () => undefined;

  constructor(parts: PrunerParts) {
    this.#parts = parts;
    const { registry, settings } = parts;
    this.#clock = new ClockWatch(registry, {
      largestStepMs: settings.largestClockStepMs,
      pauseMs: settings.clockPauseMs,
    });
    this.#approvals = new PolicyApprovals({
      ...parts,
      mayGoOn: () => !this.#isStopped,
      rest: async (tookMs) => await this.#rest(parts.restMs(tookMs)),
    });
  }

  /** Begins, in the background, with what has changed in the policies. */
  start(): void {
    this.#isStopped = false;
    this.#isStopping = false;
    this.#work();
  }

  /** Takes up nothing more; resolves when what it has begun is done. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#isStopping = true;
    this.#endRest();
    clearTimeout(this.#timer);
    clearTimeout(this.#noticing);
    await this.#working;
  }

  /** Something was committed that may be due soon. */
  notice(): void {
    if (this.#isStopped || this.#noticing !== undefined) return;
    this.#noticing = setTimeout(() => {
      this.#noticing = undefined;
      this.wake();
    }, noticeMs);
    this.#noticing.unref();
  }

  /** Looks at the queue now, or again when the look under way is over. */
  wake(): void {
    if (this.#isStopped) return;
    this.#mayHaveMore = true;
    if (this.#working === undefined) this.#work();
  }

  /** Does all that is due now, also while it is held; resolves when nothing is. */
  async workOff(): Promise<Pruned> {
    while (this.#working !== undefined) await this.#working;
    return await this.#workOffDue(() => Promise.resolve(true));
  }

  get policies(): readonly Policy[] {
    return this.#parts.set.policies;
  }

  /** All policies, as they stand now, whichever process has approved of them. */
  async standing(): Promise<readonly StandingPolicy[]> {
    await this.#approvals.refresh();
    return this.policies.map((policy) => ({ policy, state: this.#approvals.stateOf(policy) }));
  }

  /** Why nothing is pruned for a while, where that is so. */
  async pause(): Promise<PruningPause | undefined> {
    return await this.#clock.pause();
  }

  /** Lets policies prune that wait. @returns those that did */
  async approve(name: string | undefined, actor: Actor): Promise<readonly Policy[]> {
    const approved = await this.#approvals.approve(name, actor);
    this.wake();
    return approved;
  }

  /** Believes the clock as it is. False where nothing was paused. */
  async resume(actor: Actor): Promise<boolean> {
    const resumed = await this.#clock.resume(actor, 'an operator says that the clock is right');
    this.wake();
    return resumed;
  }

  /**
   * Prunes by least recent use, where policies let it for a disk that is nearly full, until so many bytes are freed or
   * nothing more may go.
   *
   * @param limits what its `guard` throws ends this
   * @returns undefined where it was held before anything was pruned: by `mayGoOn`, by the clock, or as this is stopped
   */
  async makeRoom(
    neededBytes: number,
    { mayGoOn, guard }: Pick<RoomRequest, 'mayGoOn' | 'guard'>,
  ): Promise<Pruned | undefined> {
    const { registry, set, counts } = this.#parts;
    const mayPrune = async (): Promise<boolean> =>
      !this.#isStopped && (await mayGoOn()) && (await this.#isClockRight());
    if (!(await mayPrune())) return undefined;
    await this.#approvals.refresh();
    const pruned = await makeRoom(registry, {
      set,
      mayPrune: (policy) => this.#approvals.stateOf(policy).state === 'approved',
      neededBytes,
      guard,
      mayGoOn: mayPrune,
    });
    if (pruned !== undefined) counts.pruned(pruned);
    return pruned;
  }

  #work(): void {
    clearTimeout(this.#timer);
    this.#working = this.#workThrough().finally(() => {
      this.#working = undefined;
    });
  }

  async #workThrough(): Promise<void> {
    const { log } = this.#parts.registry;
    try {
      do {
        this.#mayHaveMore = false;
        await this.#lookAtPolicies();
        await this.#workOffDue(async () => !this.#isStopped && !(await this.#parts.isHeld()));
        await this.#sleepUntilDue();
      } while (this.#mayHaveMore && !this.#isStopped);
    } catch (error) {
      log.error({ err: error }, 'retention could not go on; trying again');
      this.#sleep(retryMs.least);
    }
  }

  /** Where that fails, those that are approved prune all the same, and the others are looked at again after a while. */
  async #lookAtPolicies(): Promise<void> {
    const { clock, log } = this.#parts.registry;
    if (clock.monotonic() < this.#lookAtPoliciesAt) return;
    this.#lookAtPoliciesAt = clock.monotonic() + clockLookMs;
    try {
      await this.#approvals.look();
    } catch (error) {
      log.error({ err: error }, 'what has changed in the policies could not be looked at; trying again in a minute');
    }
  }

  async #workOffDue(mayGoOn: () => Promise<boolean>): Promise<Pruned> {
    const { registry, restMs } = this.#parts;
    let pruned = nothingPruned;
    while ((await mayGoOn()) && (await this.#isClockRight())) {
      const due = await takeDue(registry);
      if (due.length === 0) return pruned;
      await this.#approvals.refresh();
      // By name, as in a plan: what several repositories give up is freed by the last of them, which the rails heed.
      const inOrder = due.toSorted((one, other) => (one.repo < other.repo ? -1 : 1));
      for (const [at, review] of inOrder.entries()) {
        if (!(await mayGoOn())) {
          for (const left of inOrder.slice(at)) await left.release();
          return pruned;
        }
        const startedAt = performance.now();
        pruned = sumOf(pruned, await this.#review(review, mayGoOn));
        await this.#rest(restMs(performance.now() - startedAt));
      }
    }
    return pruned;
  }

  async #review(review: TakenReview, mayGoOn: () => Promise<boolean>): Promise<Pruned> {
    const { registry, scope, settings, counts } = this.#parts;
    const { repo } = review;
    const { clock, log } = registry;
    try {
      // Others may have taken it up while those before it took long.
      if (!(await review.keep())) return nothingPruned;
      const policy = scope.policyOf(repo);
      if (policy === undefined) {
        await this.#leaveToOthers(review);
        return nothingPruned;
      }
      const { state } = this.#approvals.stateOf(policy);
      if (state !== 'approved') {
        if (state === 'waiting') await this.#putAwayUntilApproved(review, policy);
        else await this.#putAway(review, clock.now() + settings.lookAfterMs + 1);
        return nothingPruned;
      }
      const startedAt = clock.monotonic();
      const restMs = (this.#restedUntil.get(repo) ?? startedAt) - startedAt;
      if (restMs > 0) {
        // The clock that only goes on has parts of milliseconds, which a time in the database has not.
        await this.#putAway(review, clock.now() + Math.ceil(restMs));
        return nothingPruned;
      }
      const { pruned, againAt, isEmpty, version } = await pruneRepository(registry, {
        repo,
        policy,
        noticeMs: settings.noticeMs,
        retryMs: settings.lookAfterMs,
        mayGoOn: async () => (await mayGoOn()) && (await review.keep()),
        isClockRight: async () => await this.#isClockRight(),
        isApproved: () => this.#approvals.isApproved(policy),
      });
      if (version !== undefined) review.judgedAt(version);
      counts.pruned(pruned);
      this.#leaveAlone(repo, startedAt);
      if (isEmpty) await review.forget(this.#changedDueAt());
      else await this.#putAway(review, againAt, 0);
      return pruned;
    } catch (error) {
      const attempts = review.attempts + 1;
      log.error({ err: error, repo, attempts }, 'retention could not look at a repository and tries again');
      const dueAt = clock.now() + Math.min(retryMs.most, retryMs.least * 2 ** Math.min(attempts - 1, 20));
      await this.#putAway(review, dueAt, attempts);
      return nothingPruned;
    }
  }

  /** A large repository takes seconds, and each look is one after a change: others have to have their turn. */
  #leaveAlone(repo: RepositoryName, startedAt: number): void {
    const endedAt = this.#parts.registry.clock.monotonic();
    this.#restedUntil.delete(repo);
    if (endedAt - startedAt < shortLookMs) return;
    if (this.#restedUntil.size >= mostRested) this.#restedUntil.clear();
    this.#restedUntil.set(repo, endedAt + Math.min(longestRestMs, (endedAt - startedAt) / shareOfLooks));
  }

  async #putAway(review: TakenReview, dueAt: number | null, attempts = review.attempts): Promise<void> {
    await review.putAway(dueAt, this.#changedDueAt(), attempts);
  }

  /** When a repository is looked at that has changed during a look at it. */
  #changedDueAt(): number {
    const { registry, settings } = this.#parts;
    return registry.clock.now() + settings.lookAfterMs;
  }

  /** Whoever approves of the policy has all of its repositories queued after that. */
  async #putAwayUntilApproved(review: TakenReview, policy: Policy): Promise<void> {
    const approvals = this.#approvals;
    const now = this.#parts.registry.clock.now();
    const changedDueAt = this.#changedDueAt();
    await this.#parts.registry.metadata.writeUnsynced(
      function* putAway(): Operation<void> {
        let dueAt: number | null = null;
        if (yield* approvals.isApproved(policy)) dueAt = now;
        else if (!(yield* approvals.areShared())) dueAt = now + othersLookMs;
        yield* review.puttingAway(dueAt, changedDueAt);
      },
      { fromReserve: true },
    );
  }

  /** No policy is for it here; for good only if there is none in other processes either. */
  async #leaveToOthers(review: TakenReview): Promise<void> {
    const approvals = this.#approvals;
    const dueAt = this.#parts.registry.clock.now() + othersLookMs;
    const changedDueAt = this.#changedDueAt();
    await this.#parts.registry.metadata.writeUnsynced(
      function* leave(): Operation<void> {
        if (yield* approvals.areShared()) yield* review.forgetting(changedDueAt);
        else yield* review.puttingAway(dueAt, changedDueAt);
      },
      { fromReserve: true },
    );
  }

  /** Looks at the clock. What was queued by one that was wrong is queued anew: it may be due long too late. */
  async #isClockRight(): Promise<boolean> {
    if (!(await this.#clock.look())) return false;
    if (this.#clock.hasResumed) {
      await this.#approvals.queueAgain();
      this.#clock.hasResumed = false;
    }
    return true;
  }

  async #sleepUntilDue(): Promise<void> {
    const { clock, metadata } = this.#parts.registry;
    const next = await metadata.read(() => first(nextRetentionReview, {}));
    const dueAt = next?.due_at ?? Infinity;
    // Where something is due already, it is held: it is looked again as often as at the clock.
    const waitMs = dueAt - clock.now();
    this.#sleep(waitMs > 0 ? Math.min(waitMs, clockLookMs) : clockLookMs);
  }

  /** Not for longer than until it is stopped. */
  async #rest(ms: number): Promise<void> {
    if (ms < 1) return await setImmediate();
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#endRest = () => {
      clearTimeout(timer);
      resolve();
    };
    if (this.#isStopping) this.#endRest();
    await promise;
  }

  #sleep(ms: number): void {
    if (this.#isStopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.wake(), ms);
    this.#timer.unref();
  }
}
