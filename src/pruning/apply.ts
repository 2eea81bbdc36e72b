import { setImmediate } from 'node:timers/promises';
import { first, type Operation } from '../metadata/operation.ts';
import { manifestTimes } from '../metadata/queries/holds.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName, TagName } from '../oci/names.ts';
import type { Actor } from '../registry/actor.ts';
import type { Registry } from '../registry/registry.ts';
import { retire, type Retirement, retiredAtOnce } from '../registry/retire.ts';
import type { Verdict } from '../retention/evaluate.ts';
import { bornAt, type Item, nameOf, type RepositoryFacts } from '../retention/facts.ts';
import type { Policy } from '../retention/policy.ts';
import { type Judgement, planRepository, sharedContents } from './plan.ts';
import { retirable } from './prune-repository.ts';
import { inTurn } from './turn.ts';

/** Something that a plan lets go, with the times that it was judged by, in ms since 1970. */
export interface PlannedItem {
  /** Undefined for a manifest under no tag. */
  readonly tag: TagName | undefined;
  readonly digest: Digest;
  readonly pushedAt: number;
  readonly taggedAt: number | null;
  readonly pulledAt: number | null;
  /** Why, as the plan says. */
  readonly reason: string;
}

export interface ApplyRequest {
  readonly repo: RepositoryName;
  readonly items: readonly PlannedItem[];
  readonly actor: Actor;
  /** Whether the policy of the plan lets the last tag go. */
  readonly mayPruneLastTag: boolean;
  /** Whether it goes because room is needed. */
  readonly isForRoom?: boolean;
  /** Done first in each transaction that prunes: throws where nothing is to go after all. */
  readonly guard?: (() => Operation<void>) | undefined;
  /** Asked before each batch: where it is not so, the rest is left as it is. */
  readonly mayGoOn?: () => Promise<boolean>;
}

/** What became of something planned, and what its going frees, in bytes. */
export interface Applied {
  readonly item: PlannedItem;
  readonly outcome: Retirement;
  readonly freesBytes: number;
}

/**
 * Carries a plan out in a repository: what it lets go, and nothing else, each only if nothing has happened to it since.
 * What it frees is worked out anew, for what really goes.
 *
 * @returns what became of each, in the order in which they were given, without those that were left
 */
export async function applyPlan(registry: Registry, request: ApplyRequest): Promise<readonly Applied[]> {
  return await inTurn(registry, () => apply(registry, request));
}

async function apply(registry: Registry, request: ApplyRequest): Promise<readonly Applied[]> {
  const { repo, items, actor, isForRoom = false, guard, mayPruneLastTag, mayGoOn } = request;
  const applied = new Map<PlannedItem, Applied>();
  apply: for (;;) {
    const left = items.filter((item) => !applied.has(item));
    if (left.length === 0) break;
    await registry.pulls.flushQuietly();
    const now = registry.clock.now();
    const matched = new Matched(left, mayPruneLastTag);
    const judge = (_: Policy, facts: RepositoryFacts): Judgement => matched.judge(facts);
    const shared = sharedContents(registry, now);
    const { goes, waits, sharesContents } = await planRepository(registry, {
      repo,
      policy: unlimited,
      shared,
      now,
      judge,
    });
    // A person has looked at the plan: no rails hold what is in it.
    const going = [...goes, ...waits];
    for (const [item, outcome] of matched.staying) {
      const isManifest = outcome === 'gone' && item.tag === undefined;
      const became = isManifest ? await becameOf(registry, repo, item) : outcome;
      applied.set(item, { item, outcome: became, freesBytes: 0 });
    }
    for (let start = 0; start < going.length; start += retiredAtOnce) {
      if (mayGoOn !== undefined && !(await mayGoOn())) break apply;
      const some = going.slice(start, start + retiredAtOnce).map((removal) => {
        const planned = matched.plannedOf(removal.verdict);
        return { planned, item: { ...retirable(removal, unlimited, now), reason: planned.reason } };
      });
      const outcome = await retire(registry, {
        repo,
        items: some.map(({ item }) => item),
        actor,
        isForRoom,
        sharesContents,
        guard,
        // Others may have been deleted since.
        keepsLastTag: !mayPruneLastTag,
      });
      if (outcome.outcome === 'changed') throw new Error('nothing was said of changes');
      for (const [at, retirement] of outcome.retirements.entries()) {
        const one = some[at];
        if (one === undefined) continue;
        const freesBytes = retirement === 'pruned' ? one.item.freesBytes : 0;
        applied.set(one.planned, { item: one.planned, outcome: retirement, freesBytes });
      }
      // What comes after one that stays frees something else: it is worked out again.
      if (outcome.retirements.at(-1) !== 'pruned') break;
      await setImmediate();
    }
  }
  return items.flatMap((item) => applied.get(item) ?? []);
}

/** Takes what a plan names out of what there is of a repository now. */
class Matched {
  readonly #items: readonly PlannedItem[];
  readonly #mayPruneLastTag: boolean;
  readonly #plannedOf = new Map<Item, PlannedItem>();
  /** What stays, and why. */
  readonly staying = new Map<PlannedItem, Applied['outcome']>();

  constructor(items: readonly PlannedItem[], mayPruneLastTag: boolean) {
    this.#items = items;
    this.#mayPruneLastTag = mayPruneLastTag;
  }

  judge({ tags, untagged }: RepositoryFacts): Judgement {
    const byName = new Map([...tags, ...untagged].map((item) => [nameOf(item), item]));
    const order: Verdict[] = [];
    for (const planned of this.#items) {
      const item = byName.get(planned.tag ?? planned.digest);
      const outcome = item === undefined ? 'gone' : changeOf(item, planned);
      if (item === undefined || outcome !== undefined) {
        this.staying.set(planned, outcome ?? 'gone');
        continue;
      }
      this.#plannedOf.set(item, planned);
      order.push({ item, action: 'prune', cause: { kind: 'default' }, changesAt: null });
    }
    const counted = tags.filter(({ follows }) => follows === null);
    if (!this.#mayPruneLastTag && counted.length > 0 && counted.every((tag) => this.#plannedOf.has(tag))) {
      const latest = counted.reduce((one, other) => ((bornAt(one) ?? 0) > (bornAt(other) ?? 0) ? one : other));
      this.staying.set(this.plannedOf({ item: latest }), 'last-tag');
      return { order: order.filter(({ item }) => item !== latest), stays: [], changesAt: null };
    }
    return { order, stays: [], changesAt: null };
  }

  plannedOf({ item }: Pick<Verdict, 'item'>): PlannedItem {
    const planned = this.#plannedOf.get(item);
    if (planned === undefined) throw new Error(`${nameOf(item)} was not planned`);
    return planned;
  }
}

/** Of a manifest that is none of those under no tag any more, whether it is there. */
async function becameOf(
  { metadata }: Registry,
  repo: RepositoryName,
  { digest, pushedAt }: PlannedItem,
): Promise<Retirement> {
  const row = await metadata.read(() => first(manifestTimes, { repo, digest }));
  if (row?.state !== 'live') return 'gone';
  return row.pushed_at > pushedAt ? 'pushed' : 'held';
}

/** Why something that a plan lets go stays; undefined where nothing has happened to it. */
function changeOf(item: Item, planned: PlannedItem): Retirement | undefined {
  if (item.digest !== planned.digest) return 'pushed';
  if (item.isPinned) return 'pinned';
  if (item.immutableBy !== undefined) return 'immutable';
  if (item.follows !== null) return 'held';
  if ((item.pushedAt ?? Infinity) > planned.pushedAt) return 'pushed';
  if (item.kind === 'tag' && (item.taggedAt ?? Infinity) > (planned.taggedAt ?? planned.pushedAt)) return 'pushed';
  return (item.pulledAt ?? 0) > (planned.pulledAt ?? 0) ? 'pulled' : undefined;
}

/** The policy by which nothing goes but what is named. */
const unlimited: Policy = {
  name: 'the plan',
  repositories: [],
  rules: [],
  default: 'keep',
  rails: { tagsPerDay: 1, bytesPerDay: 1, mayPruneLastTag: true, graceMs: 0, untaggedGraceMs: 0 },
  whenFull: 'keep',
  ignorePullsBy: { users: [], robots: [], userAgents: [] },
  countHeads: false,
};
