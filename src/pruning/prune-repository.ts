import { setImmediate } from 'node:timers/promises';
import type { Operation } from '../metadata/operation.ts';
import type { RepositoryName } from '../oci/names.ts';
import { pruningActor } from '../registry/actor.ts';
import type { Registry } from '../registry/registry.ts';
import { type RepositoryChanges, retire, type Retirable, retiredAtOnce } from '../registry/retire.ts';
import type { Policy } from '../retention/policy.ts';
import { reasonText } from '../retention/reason.ts';
import { announceEnds, comingEnds } from './ends.ts';
import { type PlannedRemoval, planRepository, type RepositoryPlan, sharedContents } from './plan.ts';
import { forgetPruned, prunedWithinDay } from './pruned-day.ts';
import { inTurn } from './turn.ts';

/** How often a repository is judged again at once because it has changed meanwhile. */
const mostLooks = 3;

/** What was pruned, and what that frees once all that holds it for a time is over. */
export interface Pruned {
  readonly tags: number;
  readonly manifests: number;
  readonly bytes: number;
}

export const nothingPruned: Pruned = { tags: 0, manifests: 0, bytes: 0 };

export interface PruneRequest {
  readonly repo: RepositoryName;
  readonly policy: Policy;
  /** So long before its end it is told of a tag that it is coming, in ms. */
  readonly noticeMs: number;
  /** How soon it is looked at again where it changes all the time, in ms. */
  readonly retryMs: number;
  /** Asked before each batch. */
  readonly mayGoOn: () => Promise<boolean>;
  /** Asked after the time was read: whether it is to be believed. */
  readonly isClockRight: () => Promise<boolean>;
  /** Asked in each transaction in which something goes: whether the policy may prune. */
  readonly isApproved: () => Operation<boolean>;
}

export interface PruneOutcome {
  readonly pruned: Pruned;
  /** When the repository is to be looked at again, in ms since 1970; null where time alone changes nothing. */
  readonly againAt: number | null;
  /** Whether nothing is in it any more, and nothing has to be remembered of it. */
  readonly isEmpty: boolean;
  /** How often the repository had changed when it was judged; undefined where there was no time for that. */
  readonly version: number | undefined;
}

/** Has what a policy says about a repository done now, within its rails, and says when to look again. */
export async function pruneRepository(registry: Registry, request: PruneRequest): Promise<PruneOutcome> {
  return await inTurn(registry, () => prune(registry, request));
}

async function prune(registry: Registry, request: PruneRequest): Promise<PruneOutcome> {
  const { repo, policy, noticeMs, retryMs, mayGoOn, isClockRight, isApproved } = request;
  let pruned = nothingPruned;
  let judged: number | undefined;
  for (let looks = 1; ; looks += 1) {
    await registry.pulls.flushQuietly();
    const now = registry.clock.now();
    if (!(await mayGoOn()) || !(await isClockRight())) return { pruned, againAt: now, isEmpty: false, version: judged };
    const plan = await planRepository(registry, { repo, policy, shared: sharedContents(registry, now), now });
    // What changes all the time is pruned all the same; then what it frees may be a little off.
    const { version, narrowings } = plan.changes;
    judged = version;
    const unchangedSince = looks < mostLooks ? { version, narrowings } : { narrowings };
    const carriedOut = await carryOut(registry, plan, { now, mayGoOn, isApproved, unchangedSince });
    pruned = sumOf(pruned, carriedOut.pruned);
    if (carriedOut.isWhole) {
      await announceEnds(registry, repo, comingEnds(plan.stays, now + noticeMs), now);
      if (plan.waits.length + plan.stays.length > 0) {
        return { pruned, againAt: againAt(plan, noticeMs, now), isEmpty: false, version };
      }
      // What was pruned of it within the day counts, should something be pushed again.
      const forgetAt = await registry.metadata.writeUnsynced(() => forgetPruned(repo, now), { fromReserve: true });
      return { pruned, againAt: forgetAt, isEmpty: forgetAt === null, version };
    }
    if (looks === mostLooks) return { pruned, againAt: now + retryMs, isEmpty: false, version };
  }
}

interface CarriedOut {
  readonly pruned: Pruned;
  /** Else the repository has changed since it was judged, or there is no time for the rest. */
  readonly isWhole: boolean;
}

interface CarryOutRequest {
  readonly now: number;
  readonly mayGoOn: () => Promise<boolean>;
  readonly isApproved: () => Operation<boolean>;
  readonly unchangedSince: Partial<RepositoryChanges>;
}

async function carryOut(
  registry: Registry,
  { repo, policy, goes, railed, sharesContents }: RepositoryPlan,
  { now, mayGoOn, isApproved, unchangedSince }: CarryOutRequest,
): Promise<CarriedOut> {
  let pruned = nothingPruned;
  for (let start = 0; start < goes.length; start += retiredAtOnce) {
    if (!(await mayGoOn())) return { pruned, isWhole: false };
    // Another process may have pruned it, too, and then the rails may let less go.
    const [tags, bytes] = [railed.tags + pruned.tags, railed.bytes + pruned.bytes];
    function* isStillSo(): Operation<boolean> {
      if (!(yield* isApproved())) return false;
      const day = yield* prunedWithinDay(repo, now);
      return day.tags <= tags && day.bytes <= bytes;
    }
    const items = goes.slice(start, start + retiredAtOnce).map((removal) => retirable(removal, policy, now));
    const outcome = await retire(registry, {
      repo,
      items,
      actor: pruningActor,
      unchangedSince,
      isStillSo,
      sharesContents,
    });
    if (outcome.outcome === 'changed') return { pruned, isWhole: false };
    const gone = items.filter((_, at) => outcome.retirements[at] === 'pruned');
    pruned = sumOf(pruned, countOf(gone));
    // What comes after one that stays would free something else.
    if (gone.length < items.length) return { pruned, isWhole: false };
    await setImmediate();
  }
  return { pruned, isWhole: true };
}

/** What is planned to go, as T_retire wants it. @param now the time of the plan */
export function retirable({ verdict, freesBytes }: PlannedRemoval, policy: Policy, now: number): Retirable {
  const { item } = verdict;
  if (item.pushedAt === null) throw new Error('what nobody knows the age of is never to go');
  return {
    tag: item.kind === 'tag' ? item.name : undefined,
    digest: item.digest,
    pushedAt: item.pushedAt,
    taggedAt: item.taggedAt,
    pulledAt: item.pulledAt,
    reason: reasonText(policy, verdict, now),
    freesBytes,
  };
}

export function countOf(gone: readonly Retirable[]): Pruned {
  const tags = gone.filter(({ tag }) => tag !== undefined).length;
  return { tags, manifests: gone.length - tags, bytes: gone.reduce((sum, { freesBytes }) => sum + freesBytes, 0) };
}

export function sumOf(one: Pruned, other: Pruned): Pruned {
  return {
    tags: one.tags + other.tags,
    manifests: one.manifests + other.manifests,
    bytes: one.bytes + other.bytes,
  };
}

/** The first time at which something goes, or is to be told of, or the rails let more go. */
function againAt({ stays, changesAt, waits, goes, railsChangeAt }: RepositoryPlan, noticeMs: number, now: number) {
  const times = [changesAt ?? Infinity];
  for (const { item, changesAt: endsAt } of stays) {
    if (item.kind === 'tag' && endsAt !== null && endsAt - noticeMs > now) times.push(endsAt - noticeMs);
  }
  if (waits.length > 0) times.push(railsChangeAt ?? Infinity);
  // What has just gone may be the first of the day.
  if (waits.length > 0 && goes.length > 0) times.push(now);
  let first = Infinity;
  for (const time of times) first = Math.min(first, time);
  return Number.isFinite(first) ? first : null;
}
