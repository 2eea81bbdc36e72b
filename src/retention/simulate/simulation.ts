import { policyFor, type Policy } from '../policy.ts';
import { type DayFigures, HeldContents } from './held-contents.ts';
import type { RepositoryHistory } from './history.ts';
import { isIncremental } from './incremental-judge.ts';
import { type BrokenPulls, replay, type RepositoryOutcome, type Span } from './replay.ts';

/** How often it is as if a repository was looked at, in ms: so soon the pruner sees a change. */
const lookEveryMs = 10_000;
/** The same where a budget has all of the repository judged anew at each look, also after each pull. */
const lookEveryMsWithBudget = 6 * 3_600_000;
/** What is remembered of broken pulls, the worst: all of them are counted. */
const worstKept = 1000;

export interface SimulationRequest extends Omit<Span, 'lookEveryMs'> {
  readonly policies: readonly Policy[];
  /** Whether the policies are tried on a repository; the others only hold what they hold. All where it is not given. */
  readonly isTried?: (repo: string) => boolean;
  /** In ms; a look at each multiple of it. 10 s where it is not given, and 6 h where the policy has a budget. */
  readonly lookEveryMs?: number;
}

/** A repository that a policy was tried on. */
export interface SimulatedRepository extends Omit<RepositoryOutcome, 'broken' | 'prunedByDay'> {
  readonly repo: string;
  readonly policy: Policy;
  readonly brokenThings: number;
  readonly brokenPulls: number;
}

/** What a day comes to. */
export interface SimulatedDay extends DayFigures {
  /** Tags and untagged manifests. */
  readonly pruned: number;
}

/** What all of the repositories come to. */
export interface SimulationTotals {
  readonly repositories: number;
  readonly prunedTags: number;
  readonly prunedManifests: number;
  readonly freedBytes: number;
  readonly freedBlobs: number;
  readonly heldBytes: number;
  readonly wouldHoldBytes: number;
  readonly brokenThings: number;
  readonly brokenPulls: number;
  readonly days: readonly SimulatedDay[];
  /** The worst of them, those with most pulls first. */
  readonly worst: readonly BrokenPulls[];
}

/**
 * Replays repositories one after the other under policies; what they come to together is told at the end. Memory is that
 * of the largest repository, and some for each content.
 */
export class Simulation {
  readonly #request: SimulationRequest;
  readonly #contents = new HeldContents();
  #worst: BrokenPulls[] = [];
  readonly #pruned = new Map<number, number>();
  readonly #sums = { repositories: 0, prunedTags: 0, prunedManifests: 0, brokenThings: 0, brokenPulls: 0 };

  constructor(request: SimulationRequest) {
    this.#request = request;
  }

  /**
   * Replays one repository. Yields now and then, so that others have their turn.
   *
   * @returns undefined for one that no policy is tried on
   */
  *add(history: RepositoryHistory): Generator<undefined, SimulatedRepository | undefined, undefined> {
    const { policies, isTried = () => true, since, now } = this.#request;
    const policy = isTried(history.repo) ? policyFor(policies, history.repo) : undefined;
    const everyMs = policy === undefined || isIncremental(policy) ? lookEveryMs : lookEveryMsWithBudget;
    const span = { since, now, lookEveryMs: this.#request.lookEveryMs ?? everyMs };
    const { broken, prunedByDay, ...outcome } = yield* replay(history, policy, span, this.#contents);
    if (policy === undefined) return undefined;
    const brokenPulls = broken.reduce((sum, { pulls }) => sum + pulls, 0);
    for (const [day, pruned] of prunedByDay) this.#pruned.set(day, (this.#pruned.get(day) ?? 0) + pruned);
    this.#sums.repositories += 1;
    this.#sums.prunedTags += outcome.prunedTags;
    this.#sums.prunedManifests += outcome.prunedManifests;
    this.#sums.brokenThings += broken.length;
    this.#sums.brokenPulls += brokenPulls;
    this.#worst.push(...broken);
    if (this.#worst.length > 2 * worstKept) this.#worst = this.#worst.toSorted(worstFirst).slice(0, worstKept);
    return { repo: history.repo, policy, ...outcome, brokenThings: broken.length, brokenPulls };
  }

  /** What they come to together, once all are replayed. Yields now and then, as well. */
  *totals(): Generator<undefined, SimulationTotals, undefined> {
    const figures = yield* this.#contents.days(this.#request.since, this.#request.now);
    const days = figures.map((one) => Object.assign({ pruned: this.#pruned.get(one.day) ?? 0 }, one));
    const last = days.at(-1);
    return {
      ...this.#sums,
      freedBytes: days.reduce((sum, { freedBytes }) => sum + freedBytes, 0),
      freedBlobs: days.reduce((sum, { freedBlobs }) => sum + freedBlobs, 0),
      heldBytes: last?.heldBytes ?? 0,
      wouldHoldBytes: last?.wouldHoldBytes ?? 0,
      days,
      worst: this.#worst.toSorted(worstFirst).slice(0, worstKept),
    };
  }
}

function worstFirst(one: BrokenPulls, other: BrokenPulls): number {
  return (
    other.pulls - one.pulls ||
    compare(one.repo, other.repo) ||
    compare(one.tag ?? one.digest, other.tag ?? other.digest) ||
    one.goneAt - other.goneAt
  );
}

function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
