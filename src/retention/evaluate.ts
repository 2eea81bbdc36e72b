import { laterNameFirst, type Item, type RepositoryFacts } from './facts.ts';
import type { Action, Policy, Rule } from './policy.ts';
import { graceUntil } from './grace.ts';
import { NameReader } from './selection.ts';
import { Snapshot, timeOf } from './snapshot.ts';
import { spansOf, type Spans } from './spans.ts';

/** What is decided about one tag or untagged manifest. */
export interface Verdict {
  readonly item: Item;
  readonly action: Action;
  readonly cause: Cause;
  /**
   * A time, later than the one asked about, before which time alone cannot change the action; then it may, and the
   * repository is to be looked at again. Null where time alone never changes it.
   */
  readonly changesAt: number | null;
}

/** Why something is kept or pruned; reason.ts puts it into words. */
export type Cause =
  | { readonly kind: 'pinned' }
  | { readonly kind: 'immutable'; readonly by: string }
  | { readonly kind: 'follows'; readonly what: 'index' | 'subject' }
  | { readonly kind: 'rule'; readonly rule: Rule }
  | { readonly kind: 'default' }
  /** It would be pruned, but it is not known when it was pushed. */
  | { readonly kind: 'unknownPush' }
  /** It would be pruned, but not before this time. */
  | { readonly kind: 'grace'; readonly until: number }
  /** All tags would be pruned, and this is the latest. */
  | { readonly kind: 'lastTag' };

export interface Evaluation {
  /** The tags in the order of the facts, then the untagged manifests. */
  readonly verdicts: readonly Verdict[];
  /** The earliest time at which any verdict may change by time alone. */
  readonly changesAt: number | null;
}

/**
 * Decides what of a repository stays and what goes by a policy, at a time. The same facts always give the same verdicts.
 *
 * In this order: what is pinned or immutable, or follows an index or a subject, stays. What a rule that keeps names stays. What a rule
 * that prunes names goes, and else the policy's default says. But nothing goes of which nobody knows when it was pushed,
 * nothing within its grace, and, unless the policy allows it, not the last tag.
 */
export function evaluate(policy: Policy, facts: RepositoryFacts, now: number): Evaluation {
  let reader = readerOf.get(policy);
  if (reader === undefined) {
    reader = new NameReader(policy.rules);
    readerOf.set(policy, reader);
  }
  return new RepositoryEvaluation(policy, reader, new Snapshot(facts), now).verdicts();
}

/** What the rules of a policy have found out about names is good for as long as the policy is. */
const readerOf = new WeakMap<Policy, NameReader>();

/** One look at one repository. */
class RepositoryEvaluation {
  readonly #policy: Policy;
  readonly #snapshot: Snapshot;
  readonly #now: number;
  /** Before these times nothing is pruned; infinite where that is for ever. */
  readonly #graceUntil: Float64Array;
  readonly #keeping: readonly Spans[];
  readonly #pruning: readonly Spans[];

  constructor(policy: Policy, reader: NameReader, snapshot: Snapshot, now: number) {
    this.#policy = policy;
    this.#snapshot = snapshot;
    this.#now = now;
    this.#graceUntil = this.#graces();
    const readings = snapshot.items.map((item) => reader.read(item));
    const spans = (action: Action, mustStay: (place: number) => boolean): Spans[] =>
      policy.rules.flatMap((rule, index) =>
        rule.action === action ? [spansOf(snapshot, rule, readings, index, mustStay)] : [],
      );
    this.#keeping = spans('keep', () => false);
    this.#pruning = spans('prune', (place) => this.#isKept(place, now));
  }

  verdicts(): Evaluation {
    const verdicts = this.#snapshot.items.map((item, place) => this.#verdict(item, place));
    this.#heedBudgets(verdicts);
    if (!this.#policy.rails.mayPruneLastTag) this.#heedLastTag(verdicts);
    let changesAt = Infinity;
    for (const verdict of verdicts) changesAt = Math.min(changesAt, verdict.changesAt ?? Infinity);
    return { verdicts, changesAt: finite(changesAt) };
  }

  #graces(): Float64Array {
    const { items, born, used } = this.#snapshot;
    const graces = new Float64Array(items.length);
    for (let place = 0; place < items.length; place += 1) {
      const item = items[place];
      if (item === undefined) continue;
      graces[place] = graceUntil(this.#policy.rails, item, born[place] ?? NaN, used[place] ?? NaN);
    }
    return graces;
  }

  #verdict(item: Item, place: number): Verdict {
    const { action, cause } = this.#decision(item, place);
    return { item, action, cause, changesAt: this.#nextChange(place, 'pruned') };
  }

  #decision(item: Item, place: number): Pick<Verdict, 'action' | 'cause'> {
    if (item.isPinned) return pinned;
    if (item.immutableBy !== undefined) {
      return { action: 'keep', cause: { kind: 'immutable', by: item.immutableBy } };
    }
    if (item.follows !== null) return { action: 'keep', cause: { kind: 'follows', what: item.follows } };
    const keeping = findApplying(this.#keeping, place, this.#now);
    if (keeping !== undefined) return { action: 'keep', cause: { kind: 'rule', rule: keeping.rule } };
    const pruning = findApplying(this.#pruning, place, this.#now);
    if (pruning === undefined && this.#policy.default === 'keep') return { action: 'keep', cause: byDefault };
    const until = this.#graceUntil[place] ?? Infinity;
    if (until === Infinity) return { action: 'keep', cause: { kind: 'unknownPush' } };
    if (this.#now < until) return { action: 'keep', cause: { kind: 'grace', until } };
    return { action: 'prune', cause: pruning === undefined ? byDefault : { kind: 'rule', rule: pruning.rule } };
  }

  /** Whether something must not go at a time, whatever the rules that prune and the default say. */
  #isKept(place: number, time: number): boolean {
    return time < (this.#graceUntil[place] ?? Infinity) || findApplying(this.#keeping, place, time) !== undefined;
  }

  #isPruned(place: number, time: number): boolean {
    if (this.#isKept(place, time)) return false;
    return this.#policy.default === 'prune' || findApplying(this.#pruning, place, time) !== undefined;
  }

  /** The first time at which, by the item's own times, it is pruned and now not, or the other way; or kept. */
  #nextChange(place: number, what: 'kept' | 'pruned'): number | null {
    if (this.#graceUntil[place] === Infinity) return null;
    const before = this.#is(what, place, this.#now);
    for (let time = this.#nextBound(place, this.#now); time < Infinity; time = this.#nextBound(place, time)) {
      if (this.#is(what, place, time) !== before) return time;
    }
    return null;
  }

  #is(what: 'kept' | 'pruned', place: number, time: number): boolean {
    return what === 'kept' ? this.#isKept(place, time) : this.#isPruned(place, time);
  }

  /** The first time after another at which a span of the item begins or ends, or its grace. */
  #nextBound(place: number, after: number): number {
    const grace = this.#graceUntil[place] ?? Infinity;
    const next = Math.min(nextBound(this.#keeping, place, after), nextBound(this.#pruning, place, after));
    return grace > after ? Math.min(grace, next) : next;
  }

  /** What a budget leaves room for changes when something that must stay need not stay any more, or the other way. */
  #heedBudgets(verdicts: Verdict[]): void {
    for (const { rule, selected } of this.#pruning) {
      if (rule.criteria.budgetBytes === undefined) continue;
      let changesAt = Infinity;
      for (const place of selected.places) {
        changesAt = Math.min(changesAt, this.#nextChange(place, 'kept') ?? Infinity);
      }
      if (changesAt === Infinity) continue;
      for (const place of selected.places) {
        const verdict = verdicts[place];
        if (verdict === undefined || this.#graceUntil[place] === Infinity) continue;
        verdicts[place] = { ...verdict, changesAt: Math.min(changesAt, verdict.changesAt ?? Infinity) };
      }
    }
  }

  /** The latest tag stays where all would go. That depends on the others, and so does when it changes. */
  #heedLastTag(verdicts: Verdict[]): void {
    let latest: number | undefined;
    let [keptCount, firstChange, allPrunedAt] = [0, Infinity, -Infinity];
    for (let place = 0; place < this.#snapshot.tagCount; place += 1) {
      const verdict = verdicts[place];
      if (verdict === undefined || verdict.item.follows !== null) continue;
      const changesAt = verdict.changesAt ?? Infinity;
      firstChange = Math.min(firstChange, changesAt);
      if (verdict.action === 'keep') {
        keptCount += 1;
        allPrunedAt = Math.max(allPrunedAt, changesAt);
      }
      if (latest === undefined || this.#isLater(place, latest)) latest = place;
    }
    const verdict = latest === undefined ? undefined : verdicts[latest];
    if (latest === undefined || verdict?.action !== 'prune') return;
    verdicts[latest] =
      keptCount === 0
        ? { item: verdict.item, action: 'keep', cause: { kind: 'lastTag' }, changesAt: finite(firstChange) }
        : { ...verdict, changesAt: finite(Math.min(allPrunedAt, verdict.changesAt ?? Infinity)) };
  }

  #isLater(place: number, other: number): boolean {
    const { items, born } = this.#snapshot;
    const [time, otherTime] = [timeOf(born, place), timeOf(born, other)];
    if (time !== otherTime) return time > otherTime;
    const [item, otherItem] = [items[place], items[other]];
    return item !== undefined && otherItem !== undefined && laterNameFirst(item, otherItem) < 0;
  }
}

const pinned = { action: 'keep', cause: { kind: 'pinned' } } as const;
const byDefault: Cause = { kind: 'default' };

/** The first rule that applies to an item at a time. A loop, because it runs several times for each item and rule. */
function findApplying(rules: readonly Spans[], place: number, time: number): Spans | undefined {
  for (const spans of rules) {
    if ((spans.from[place] ?? Infinity) <= time && time < (spans.until[place] ?? Infinity)) return spans;
  }
  return undefined;
}

/** The first time after another at which a rule begins or ceases to apply to an item. */
function nextBound(rules: readonly Spans[], place: number, after: number): number {
  let next = Infinity;
  for (const { from, until } of rules) {
    const begin = from[place] ?? Infinity;
    const bound = begin > after ? begin : (until[place] ?? Infinity);
    if (bound > after && bound < next) next = bound;
  }
  return next;
}

function finite(time: number): number | null {
  return Number.isFinite(time) ? time : null;
}
