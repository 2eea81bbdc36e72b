import type { SemVer } from 'semver';
import type { Cause, Verdict } from '../evaluate.ts';
import { bornAt, laterNameFirst, nameOf, usedAt, type Item } from '../facts.ts';
import { graceUntil } from '../grace.ts';
import type { Policy, Rule } from '../policy.ts';
import { NameReader, newerFirst, suits, suitsEach, type Readings } from '../selection.ts';
import { beginOfRule, endOfRule } from '../spans.ts';
import { DueQueue } from './due-queue.ts';
import type { Judge, Subject } from './judge.ts';
import { RankedGroup } from './ranked-group.ts';

/** Whether it can judge by a policy: not where a budget makes each depend on all the others. */
export function isIncremental({ rules }: Policy): boolean {
  return rules.every(({ criteria }) => criteria.budgetBytes === undefined);
}

/**
 * Judges as `evaluate` does, but looks only at what has changed: at a tag by itself, and at the groups in which it is
 * counted. What a rule makes of time alone is worked out beforehand.
 */
export class IncrementalJudge implements Judge {
  readonly #policy: Policy;
  readonly #reader: NameReader;
  readonly #rankings: readonly Ranking[];
  readonly #entries = new Map<Subject, Entry>();
  readonly #queue = new DueQueue<Entry>();
  /** What was to be pruned at the last look, and is still here. */
  readonly #toPrune = new Set<Entry>();
  /** Something has changed that may let another of those go. */
  #changedAt = Infinity;
  tagCount = 0;

  constructor(policy: Policy) {
    this.#policy = policy;
    this.#reader = new NameReader(policy.rules);
    this.#rankings = policy.rules.flatMap(rankingsOf);
  }

  get dueAt(): number {
    return Math.min(this.#changedAt, this.#queue.firstAt);
  }

  update(subject: Subject, item: Item | undefined, now: number): void {
    const before = this.#entries.get(subject);
    if (before === undefined && item === undefined) return;
    if (item === undefined) {
      if (before !== undefined) this.#remove(subject, before, now);
      return;
    }
    const entry = before ?? new Entry(item, this.#policy.rules.length, this.#rankings.length);
    if (before === undefined) {
      this.#entries.set(subject, entry);
      if (item.kind === 'tag') this.tagCount += 1;
    }
    this.#read(entry, item);
    this.#rank(entry, now);
    this.#enqueue(entry, now);
  }

  happened(now: number): void {
    if (this.#toPrune.size > 0) this.#changedAt = Math.min(this.#changedAt, now);
  }

  look(now: number): readonly Verdict[] {
    this.#changedAt = Infinity;
    for (let entry = this.#queue.take(now); entry !== undefined; entry = this.#queue.take(now)) {
      if (this.#isPruned(entry, now)) {
        this.#toPrune.add(entry);
        this.#queue.add(entry, this.#firstAt(entry, now, false));
      } else {
        this.#toPrune.delete(entry);
        this.#queue.add(entry, this.#firstAt(entry, now, true));
      }
    }
    const pruned = [...this.#toPrune];
    const last = this.#policy.rails.mayPruneLastTag ? undefined : this.#lastTag(pruned);
    return pruned.flatMap((entry) =>
      entry === last ? [] : [{ item: entry.item, action: 'prune', cause: this.#causeOf(entry, now), changesAt: null }],
    );
  }

  #remove(subject: Subject, entry: Entry, now: number): void {
    this.#entries.delete(subject);
    this.#queue.delete(entry);
    this.#toPrune.delete(entry);
    if (entry.item.kind === 'tag') this.tagCount -= 1;
    for (const [index, place] of entry.places.entries()) {
      if (place === undefined) continue;
      place.group.remove(place);
      entry.places[index] = undefined;
      this.#settle(index, place.group, now);
    }
  }

  #read(entry: Entry, item: Item): void {
    const readings = this.#reader.read(item);
    entry.item = item;
    entry.born = bornAt(item) ?? NaN;
    entry.used = usedAt(item) ?? NaN;
    entry.grace = graceUntil(this.#policy.rails, item, entry.born, entry.used);
    entry.readings = readings;
    for (const [index, rule] of this.#policy.rules.entries()) {
      const isSelected = readings[index] !== undefined && (suitsEach(rule) || suits(rule, item));
      entry.isSelected[index] = isSelected;
      const begin = beginOfRule(rule, item, entry.born, entry.used);
      const end = endOfRule(rule, item.pushedAt ?? NaN, item.taggedAt ?? NaN, entry.used);
      entry.from[index] = isSelected && begin < end ? begin : Infinity;
      entry.until[index] = end;
    }
  }

  /** Puts an entry where it belongs in the groups that are counted. */
  #rank(entry: Entry, now: number): void {
    for (const [index, ranking] of this.#rankings.entries()) {
      const before = entry.places[index];
      const after = entry.isSelected[ranking.rule] === true ? ranking.placeOf(entry) : undefined;
      if (before?.group === after?.group && before?.value === after?.value) continue;
      if (before !== undefined) before.group.remove(before);
      if (after !== undefined) after.group.add(after);
      entry.places[index] = after;
      entry.isIn[index] = 0;
      if (before !== undefined && before.group !== after?.group) this.#settle(index, before.group, now);
      if (after !== undefined) this.#settle(index, after.group, now);
    }
  }

  /** Who of a group is counted, once it has changed. */
  #settle(ranking: number, group: Group, now: number): void {
    const before = group.counted;
    group.counted = this.#rankings[ranking]?.counted(group) ?? new Set();
    for (const { entry } of before) this.#mark(entry, ranking, group, now);
    for (const { entry } of group.counted) this.#mark(entry, ranking, group, now);
  }

  #mark(entry: Entry, ranking: number, group: Group, now: number): void {
    const place = entry.places[ranking];
    if (place?.group !== group) return;
    const isIn = group.counted.has(place) ? 1 : 0;
    if (entry.isIn[ranking] === isIn) return;
    entry.isIn[ranking] = isIn;
    this.#enqueue(entry, now);
  }

  #enqueue(entry: Entry, now: number): void {
    this.#queue.add(entry, this.#toPrune.has(entry) ? now : this.#firstAt(entry, now, true));
  }

  /** The latest of the tags, where all are to be pruned. */
  #lastTag(pruned: readonly Entry[]): Entry | undefined {
    const tags = pruned.filter(({ item }) => item.kind === 'tag');
    if (tags.length < this.tagCount) return undefined;
    let last: Entry | undefined;
    for (const one of tags) {
      const isLater =
        last === undefined ||
        one.born > last.born ||
        (one.born === last.born && laterNameFirst(one.item, last.item) < 0);
      if (isLater) last = one;
    }
    return last;
  }

  #causeOf(entry: Entry, now: number): Cause {
    const rule = this.#policy.rules.find(({ action }, index) => action === 'prune' && this.#applies(entry, index, now));
    return rule === undefined ? { kind: 'default' } : { kind: 'rule', rule };
  }

  /** The first time from one on at which something is to be pruned, or is not; infinite for never. */
  #firstAt(entry: Entry, from: number, isPruned: boolean): number {
    for (let time = from; time < Infinity; time = this.#nextBound(entry, time)) {
      if (this.#isPruned(entry, time) === isPruned) return time;
    }
    return Infinity;
  }

  #isPruned(entry: Entry, time: number): boolean {
    if (time < entry.grace) return false;
    const { rules } = this.#policy;
    let isNamed = this.#policy.default === 'prune';
    for (let index = 0; index < rules.length; index += 1) {
      const action = rules[index]?.action;
      if ((action === 'prune' && isNamed) || !this.#applies(entry, index, time)) continue;
      if (action === 'keep') return false;
      isNamed = true;
    }
    return isNamed;
  }

  #applies(entry: Entry, rule: number, time: number): boolean {
    if (time < (entry.from[rule] ?? Infinity) || time >= (entry.until[rule] ?? -Infinity)) return false;
    for (let index = 0; index < this.#rankings.length; index += 1) {
      if (this.#rankings[index]?.rule === rule && entry.isIn[index] !== 1) return false;
    }
    return true;
  }

  #nextBound({ grace, from, until }: Entry, after: number): number {
    let next = grace > after ? grace : Infinity;
    for (let index = 0; index < from.length; index += 1) {
      const begin = from[index] ?? Infinity;
      const bound = begin > after ? begin : (until[index] ?? Infinity);
      if (bound > after && bound < next) next = bound;
    }
    return next;
  }
}

/** A tag or an untagged manifest, and all that is known of it. By rule, or by ranking. */
class Entry {
  item: Item;
  born = NaN;
  used = NaN;
  grace = Infinity;
  readings: Readings = [];
  readonly isSelected: boolean[];
  readonly from: Float64Array;
  readonly until: Float64Array;
  readonly places: (Place | undefined)[];
  readonly isIn: Uint8Array;

  constructor(item: Item, rules: number, rankings: number) {
    this.item = item;
    this.isSelected = Array.from({ length: rules }, () => false);
    this.from = new Float64Array(rules).fill(Infinity);
    this.until = new Float64Array(rules);
    this.places = Array.from({ length: rankings }, () => undefined);
    this.isIn = new Uint8Array(rankings);
  }
}

/** Where an entry stands in a group. */
interface Place {
  readonly entry: Entry;
  readonly group: Group;
  readonly name: string;
  readonly value: number | SemVer;
}

class Group extends RankedGroup<number | SemVer, Place> {
  counted: ReadonlySet<Place> = new Set();
}

/** What a rule counts, group by group. */
interface Ranking {
  /** Which of the rules. */
  readonly rule: number;
  placeOf(entry: Entry): Place | undefined;
  counted(group: Group): ReadonlySet<Place>;
}

function rankingsOf({ criteria }: Rule, rule: number): readonly Ranking[] {
  const { mostRecentlyPushedCount, mostRecentlyPulledCount, semver } = criteria;
  const rankings: Ranking[] = [];
  if (mostRecentlyPushedCount !== undefined) {
    rankings.push(latest(rule, mostRecentlyPushedCount, ({ item }) => item.pushedAt ?? -Infinity));
  }
  if (mostRecentlyPulledCount !== undefined) {
    rankings.push(latest(rule, mostRecentlyPulledCount, ({ used }) => (Number.isNaN(used) ? -Infinity : used)));
  }
  if (semver !== undefined) {
    const groups = new Groups();
    rankings.push({
      rule,
      placeOf(entry) {
        const reading = entry.readings[rule];
        if (reading?.version === undefined) return undefined;
        const group = groups.of(reading.versionGroup);
        return { entry, group, name: nameOf(entry.item), value: reading.version };
      },
      counted: (group) => group.greatestValues(semver.newest),
    });
  }
  return rankings;
}

function latest(rule: number, count: number, timeOf: (entry: Entry) => number): Ranking {
  const groups = new Groups();
  return {
    rule,
    placeOf(entry) {
      const { item, readings } = entry;
      const reading = readings[rule];
      if (reading === undefined) return undefined;
      // Untagged manifests do not take the places of tags.
      const group = groups.of(item.kind === 'tag' ? `tag ${reading.group}` : 'untagged');
      return { entry, group, name: nameOf(item), value: timeOf(entry) };
    },
    counted: (group) => group.greatest(count),
  };
}

class Groups {
  readonly #groups = new Map<string, Group>();

  of(name: string): Group {
    let group = this.#groups.get(name);
    if (group === undefined) {
      group = new Group(compareValues);
      this.#groups.set(name, group);
    }
    return group;
  }
}

function compareValues(one: number | SemVer, other: number | SemVer): number {
  if (typeof one === 'number' && typeof other === 'number') return one - other;
  if (typeof one !== 'number' && typeof other !== 'number') return newerFirst(other, one);
  throw new Error('times and versions are not compared');
}
