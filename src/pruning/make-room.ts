import type { Operation } from '../metadata/operation.ts';
import type { RepositoryName } from '../oci/names.ts';
import { pruningActor } from '../registry/actor.ts';
import type { Registry } from '../registry/registry.ts';
import { evaluate } from '../retention/evaluate.ts';
import { type Item, usedAt } from '../retention/facts.ts';
import { inOrderOfPruning } from '../retention/rails.ts';
import type { Policy } from '../retention/policy.ts';
import type { PolicySet } from '../retention/policy-set.ts';
import { applyPlan, type PlannedItem } from './apply.ts';
import { type Judgement, planRetention } from './plan.ts';
import { nothingPruned, type Pruned, sumOf } from './prune-repository.ts';

/** The least recently used of all that one pass over the registry remembers. */
const remembered = 1000;
/** A round takes this many times as many as the one before it at most. */
const mostGrowth = 2;

export interface RoomRequest {
  readonly set: PolicySet;
  /** Which policies may prune. */
  readonly mayPrune: (policy: Policy) => boolean;
  /** What is to be freed, in bytes. */
  readonly neededBytes: number;
  /** Asked before each batch, and while it is looked what may go: whether anything may at all. */
  readonly mayGoOn: () => Promise<boolean>;
  /** Done first in each transaction that prunes: throws where nothing is to go after all. */
  readonly guard?: (() => Operation<void>) | undefined;
}

/** Nothing of it leads to its repository's rows, of which there may be many. */
interface Candidate {
  readonly repo: RepositoryName;
  readonly item: PlannedItem;
  readonly usedAt: number;
  readonly mayPruneLastTag: boolean;
}

/**
 * Prunes by least recent use, over all repositories whose policy lets it for a disk that is nearly full, until enough is
 * freed once the trash and leases are over: of what no rule keeps, whatever the default and the rails of the day say.
 * Graces, pins and the last tag hold.
 *
 * @returns undefined where it was held before it had pruned anything, so that nobody knows what may go
 */
export async function makeRoom(registry: Registry, request: RoomRequest): Promise<Pruned | undefined> {
  let pruned = nothingPruned;
  let eachBytes = 0;
  for (;;) {
    const candidates = await leastRecentlyUsed(registry, request);
    if (candidates === undefined) return unlessNothing(pruned);
    let hasPruned = false;
    // No more than enough: what one frees shows when it has gone, so a round has one first, and then as many as it takes
    // where each frees as much as one of the round before.
    for (let start = 0, round = 1; start < candidates.length;) {
      const leftBytes = request.neededBytes - pruned.bytes;
      if (leftBytes <= 0) return pruned;
      if (start > 0) round = Math.min(round * mostGrowth, Math.ceil(leftBytes / Math.max(1, eachBytes)));
      const { gone, isHeld } = await prune(registry, candidates.slice(start, start + round), request);
      hasPruned ||= gone.tags + gone.manifests > 0;
      pruned = sumOf(pruned, gone);
      if (isHeld) return unlessNothing(pruned);
      eachBytes = gone.bytes / round;
      start += round;
    }
    if (candidates.length < remembered || !hasPruned) return pruned;
  }
}

function unlessNothing(pruned: Pruned): Pruned | undefined {
  return pruned.tags + pruned.manifests > 0 ? pruned : undefined;
}

async function prune(
  registry: Registry,
  candidates: readonly Candidate[],
  { guard, mayGoOn }: Pick<RoomRequest, 'guard' | 'mayGoOn'>,
): Promise<{ readonly gone: Pruned; readonly isHeld: boolean }> {
  let gone = nothingPruned;
  for (const [repo, some] of Map.groupBy(candidates, (candidate) => candidate.repo)) {
    const applied = await applyPlan(registry, {
      repo,
      items: some.map(({ item }) => item),
      actor: pruningActor,
      mayPruneLastTag: some.every(({ mayPruneLastTag }) => mayPruneLastTag),
      isForRoom: true,
      guard,
      mayGoOn,
    });
    for (const { item, outcome, freesBytes: bytes } of applied) {
      if (outcome !== 'pruned') continue;
      const isTag = item.tag !== undefined;
      gone = sumOf(gone, { tags: isTag ? 1 : 0, manifests: isTag ? 0 : 1, bytes });
    }
    if (applied.length < some.length) return { gone, isHeld: true };
  }
  return { gone, isHeld: false };
}

function plannedOf(item: Item): readonly PlannedItem[] {
  const { digest, pushedAt, taggedAt, pulledAt } = item;
  if (pushedAt === null) return [];
  const reason = 'room is needed, no rule keeps it, and it is among the least recently used';
  return [{ tag: item.kind === 'tag' ? item.name : undefined, digest, pushedAt, taggedAt, pulledAt, reason }];
}

/** What may go, the least recently used first; undefined where it was held meanwhile. */
async function leastRecentlyUsed(registry: Registry, { set, mayPrune, mayGoOn }: RoomRequest) {
  const now = registry.clock.now();
  let oldest: Candidate[] = [];
  const isAsked = (policy: Policy): boolean => policy.whenFull === 'prune' && mayPrune(policy);
  for await (const { repo, policy, stays } of planRetention(registry, {
    policies: set,
    repositories: undefined,
    isAsked,
    now,
    judge: unneeded,
  })) {
    if (!(await mayGoOn())) return undefined;
    const { mayPruneLastTag } = policy.rails;
    for (const { item } of stays) {
      for (const planned of plannedOf(item)) {
        oldest.push({ repo, item: planned, usedAt: usedAt(item) ?? Infinity, mayPruneLastTag });
      }
    }
    if (oldest.length > 4 * remembered) oldest = firstOf(oldest);
  }
  return firstOf(oldest);
}

/** Judges nothing to go, so that what it frees is not worked out; what may go is what is left of it. */
function unneeded(policy: Policy, facts: Parameters<typeof evaluate>[1], now: number): Judgement {
  const { verdicts } = evaluate(withoutDefault(policy), facts, now);
  return { order: [], stays: inOrderOfPruning(verdicts), changesAt: null };
}

/** One for each policy, since what is found out about names is remembered by it. */
const withoutDefaults = new WeakMap<Policy, Policy>();

function withoutDefault(policy: Policy): Policy {
  const known = withoutDefaults.get(policy);
  if (known !== undefined) return known;
  const made: Policy = { ...policy, default: 'prune' };
  withoutDefaults.set(policy, made);
  return made;
}

function firstOf(candidates: readonly Candidate[]): Candidate[] {
  return candidates
    .toSorted((one, other) => {
      if (one.usedAt !== other.usedAt) return one.usedAt - other.usedAt;
      return (one.item.tag ?? one.item.digest) < (other.item.tag ?? other.item.digest) ? -1 : 1;
    })
    .slice(0, remembered);
}
