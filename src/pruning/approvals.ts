import { setImmediate } from 'node:timers/promises';
import { all, change, first, type Operation } from '../metadata/operation.ts';
import {
  approvePolicy,
  findPolicyApproval,
  markPolicyQueued,
  policyApprovals,
} from '../metadata/queries/policy-approvals.ts';
import { upsertRetentionReview } from '../metadata/queries/retention-reviews.ts';
import { repositoriesAfter } from '../metadata/queries/usage.ts';
import type { Digest } from '../oci/digest.ts';
import { type Actor, pruningActor } from '../registry/actor.ts';
import { recordEvent } from '../registry/events.ts';
import { goByTheSame } from '../registry/processes.ts';
import type { Registry } from '../registry/registry.ts';
import type { Policy } from '../retention/policy.ts';
import type { PolicySet } from '../retention/policy-set.ts';
import { planRetention } from './plan.ts';
import type { PolicyScope } from './policy-scope.ts';
import { countOf, nothingPruned, type Pruned, retirable, sumOf } from './prune-repository.ts';
import { policiesText, settleApprovals } from './settle-approvals.ts';

/** Repositories that one step reads. */
const repositoriesPerStep = 200;
/** So long whoever has approved of a policy is given to have its repositories queued, in ms; then somebody else does. */
const queueingMs = 600_000;
/** Without approval nothing goes to make room on a disk that is full. */
const fromReserve = { fromReserve: true } as const;

/** Whether a policy may prune. */
export type PolicyState =
  /** It may. */
  | { readonly state: 'approved' }
  /** What it would prune passes its rails, so that it waits for an operator. */
  | { readonly state: 'waiting'; readonly wouldPrune: Pruned; readonly railsLet: Pruned }
  /** It has changed, and is being looked at. */
  | { readonly state: 'looking' };

export interface ApprovalParts {
  readonly registry: Registry;
  readonly set: PolicySet;
  readonly scope: PolicyScope;
  readonly mayGoOn: () => boolean;
  /** Lets requests have their turn after work that took so long, in ms. */
  readonly rest: (tookMs: number) => Promise<void>;
}

/**
 * Which policies may prune. One that has changed may do so at once where all that it would prune is within its rails; else
 * it waits until somebody approves of it. Policies are told apart by their hashes, and what is approved outlasts restarts.
 * What counts is what the database says: another process may have approved of it.
 */
export class PolicyApprovals {
  readonly #parts: ApprovalParts;
  readonly #states = new Map<Policy, PolicyState>();
  /** Those whose repositories this process has queued since it has begun. */
  readonly #queued = new Set<Policy>();
  #hasLooked = false;

  constructor(parts: ApprovalParts) {
    this.#parts = parts;
    for (const policy of parts.set.policies) this.#states.set(policy, { state: 'looking' });
  }

  stateOf(policy: Policy): PolicyState {
    return this.#states.get(policy) ?? { state: 'looking' };
  }

  /** Whether a policy is approved, in the transaction that goes by that. */
  *isApproved(policy: Policy): Operation<boolean> {
    return (yield* first(findPolicyApproval, { policy: this.#hashOf(policy) })) !== undefined;
  }

  /** Whether all processes go by the policies of this one. */
  *areShared(): Operation<boolean> {
    return yield* goByTheSame(policiesText(this.#parts.set));
  }

  /** Looks up which policies are approved by now. @returns when each was, and when its repositories were queued */
  async refresh(): Promise<ReadonlyMap<Policy, { readonly approvedAt: number; readonly queuedAt: number | null }>> {
    const { registry, set } = this.#parts;
    const rows = await registry.metadata.read(() => all(policyApprovals, {}));
    const byHash = new Map(rows.map((row) => [row.policy, row]));
    const approved = new Map<Policy, { readonly approvedAt: number; readonly queuedAt: number | null }>();
    for (const policy of set.policies) {
      const row = byHash.get(this.#hashOf(policy));
      if (row !== undefined) {
        this.#states.set(policy, { state: 'approved' });
        approved.set(policy, { approvedAt: row.approved_at, queuedAt: row.queued_at });
      } else if (this.stateOf(policy).state === 'approved') {
        // All processes have gone by others meanwhile.
        this.#states.set(policy, { state: 'looking' });
      }
    }
    return approved;
  }

  /**
   * Looks up which policies are approved, and at what others would do of which that is not known yet. Has repositories queued
   * that are to be, be it that whoever began it has died. To be called again and again.
   */
  async look(): Promise<void> {
    const { registry, set } = this.#parts;
    const areSame = await settleApprovals(registry.metadata, set);
    const now = registry.clock.now();
    for (const [policy, { approvedAt, queuedAt }] of await this.refresh()) {
      // By a clock that was ahead, which other times in the queue may be, too.
      if (queuedAt !== null && queuedAt <= now) continue;
      // While others go by other policies it is never done with, but begins only once.
      if (!areSame && this.#queued.has(policy)) continue;
      if (this.#hasLooked && approvedAt <= now && now - approvedAt < queueingMs) continue;
      await this.#queue(policy);
    }
    this.#hasLooked = true;
    const unknown = new Set(set.policies.filter((policy) => this.stateOf(policy).state === 'looking'));
    if (unknown.size > 0) await this.#lookAt(unknown);
  }

  /** Lets policies prune that wait, all or those of a name. @returns those that did wait */
  async approve(name: string | undefined, actor: Actor): Promise<readonly Policy[]> {
    await this.refresh();
    const waiting = this.#parts.set.policies.filter(
      (policy) => this.stateOf(policy).state === 'waiting' && (name === undefined || policy.name === name),
    );
    for (const policy of waiting) await this.#approve(policy, actor, 'an operator has approved of it');
    return waiting;
  }

  /** Has all repositories of the policies that may prune looked at, as when they were approved. */
  async queueAgain(): Promise<void> {
    for (const policy of (await this.refresh()).keys()) await this.#queue(policy);
  }

  async #lookAt(unknown: ReadonlySet<Policy>): Promise<void> {
    const { registry, set, mayGoOn, rest } = this.#parts;
    const now = registry.clock.now();
    const would = new Map([...unknown].map((policy) => [policy, { goes: nothingPruned, waits: nothingPruned }]));
    const request = { policies: set, repositories: undefined, isAsked: (policy: Policy) => unknown.has(policy), now };
    let beganAt = performance.now();
    for await (const { policy, goes, waits } of planRetention(registry, request)) {
      if (!mayGoOn()) return;
      const sums = would.get(policy) ?? { goes: nothingPruned, waits: nothingPruned };
      const count = (removals: typeof goes) => countOf(removals.map((removal) => retirable(removal, policy, now)));
      would.set(policy, { goes: sumOf(sums.goes, count(goes)), waits: sumOf(sums.waits, count(waits)) });
      await rest(performance.now() - beganAt);
      beganAt = performance.now();
    }
    await this.refresh();
    for (const [policy, { goes, waits }] of would) {
      // Somebody has approved of it meanwhile.
      if (this.stateOf(policy).state !== 'looking') continue;
      if (waits.tags + waits.manifests === 0) {
        await this.#approve(policy, pruningActor, 'what it would prune is within its rails');
      } else {
        await this.#wait(policy, { wouldPrune: sumOf(goes, waits), railsLet: goes });
      }
    }
  }

  async #wait(policy: Policy, { wouldPrune, railsLet }: { readonly wouldPrune: Pruned; readonly railsLet: Pruned }) {
    const { registry } = this.#parts;
    this.#states.set(policy, { state: 'waiting', wouldPrune, railsLet });
    const reason = `${policy.name} would prune ${wouldPrune.tags} tags and ${wouldPrune.manifests} untagged manifests, more than its rails let go in a day: look at "wherry retention plan", then "wherry retention approve"`;
    registry.log.warn({ policy: policy.name, ...wouldPrune }, `a changed policy waits for approval: ${reason}`);
    const at = registry.clock.now();
    await registry.metadata.write(
      () => recordEvent({ at, kind: 'retention.waiting', actor: pruningActor, reason, bytes: wouldPrune.bytes }),
      fromReserve,
    );
  }

  async #approve(policy: Policy, actor: Actor, why: string): Promise<void> {
    const { registry } = this.#parts;
    const hash = this.#hashOf(policy);
    const now = registry.clock.now();
    const isNew = await registry.metadata.write(function* approve(): Operation<boolean> {
      if ((yield* change(approvePolicy, { policy: hash, now, approvedBy: actor.text })) === 0) return false;
      yield* recordEvent({ at: now, kind: 'retention.approved', actor, reason: `${policy.name}: ${why}` });
      return true;
    }, fromReserve);
    if (isNew) await this.#queue(policy);
    else this.#states.set(policy, { state: 'approved' });
  }

  /** Has all repositories of a policy looked at, some at a time. Begun again where it was cut short. */
  async #queue(policy: Policy): Promise<void> {
    const { registry, scope, mayGoOn } = this.#parts;
    const { metadata, clock } = registry;
    // What is due before the last of them is in the queue may be done.
    this.#states.set(policy, { state: 'approved' });
    for (let after = ''; ;) {
      const from = after;
      const rows = await metadata.read(() => all(repositoriesAfter, { after: from, limit: repositoriesPerStep }));
      const due = rows.map(({ name }) => name).filter((repo) => scope.policyOf(repo) === policy);
      const dueAt = clock.now();
      await metadata.writeUnsynced(function* enqueue(): Operation<void> {
        for (const repo of due) yield* change(upsertRetentionReview, { repo, dueAt, narrowing: 0 });
      }, fromReserve);
      const last = rows.at(-1);
      if (last === undefined) break;
      after = last.name;
      if (!mayGoOn()) return;
      await setImmediate();
    }
    this.#queued.add(policy);
    const now = clock.now();
    const hash = this.#hashOf(policy);
    const areShared = () => this.areShared();
    await metadata.write(function* mark(): Operation<void> {
      // What others have put away, or have not queued, is queued again once they are gone.
      if (yield* areShared()) yield* change(markPolicyQueued, { policy: hash, now });
    }, fromReserve);
  }

  #hashOf(policy: Policy): Digest {
    const hash = this.#parts.set.hashes.get(policy);
    if (hash === undefined) throw new Error(`${policy.name} is none of the set's policies`);
    return hash;
  }
}
