import type { Item } from './facts.ts';
import { markLatest, markNewest, markWithinBudget, type Selected } from './ranks.ts';
import type { Rule } from './policy.ts';
import { suits, suitsEach, type NameReading, type Readings } from './selection.ts';
import type { Snapshot } from './snapshot.ts';

/**
 * When a rule applies to each item, in order of the snapshot's row: from a time on, until before another. Everything
 * but the time is taken as it is. Where it never applies, `from` is infinite.
 */
export interface Spans {
  readonly rule: Rule;
  readonly from: Float64Array;
  readonly until: Float64Array;
  /** What the rule selects, whether it applies or not. */
  readonly selected: Selected;
}

/**
 * Works out the spans of one rule.
 *
 * @param readings what the rules make of each item's name
 * @param index which of the rules it is
 * @param mustStay what a rule that prunes by a budget must count whether it fits or not
 */
export function spansOf(
  snapshot: Snapshot,
  rule: Rule,
  readings: readonly Readings[],
  index: number,
  mustStay: (place: number) => boolean,
): Spans {
  const { items } = snapshot;
  const selected = select(items, rule, readings, index);
  const spans = {
    rule,
    from: new Float64Array(items.length).fill(Infinity),
    until: new Float64Array(items.length),
    selected,
  };
  const isIn = ranked(snapshot, rule, selected, mustStay);
  for (const place of selected.places) if (isIn === undefined || isIn[place] === 1) fillSpan(snapshot, spans, place);
  return spans;
}

function select(items: readonly Item[], rule: Rule, readings: readonly Readings[], index: number): Selected {
  const places: number[] = [];
  const own: (NameReading | undefined)[] = [];
  const isEachSuited = suitsEach(rule);
  for (let place = 0; place < items.length; place += 1) {
    const item = items[place];
    const reading = readings[place]?.[index];
    const isSelected = reading !== undefined && item !== undefined && (isEachSuited || suits(rule, item));
    own.push(isSelected ? reading : undefined);
    if (isSelected) places.push(place);
  }
  return { places, readings: own };
}

/** Those for whom all criteria hold that compare items with each other; undefined where there are none. */
function ranked(
  snapshot: Snapshot,
  rule: Rule,
  selected: Selected,
  mustStay: (place: number) => boolean,
): Uint8Array | undefined {
  const { mostRecentlyPushedCount, mostRecentlyPulledCount, semver, budgetBytes } = rule.criteria;
  const marks: Uint8Array[] = [];
  const mark = (fill: (isIn: Uint8Array) => void): void => {
    const isIn = new Uint8Array(snapshot.items.length);
    fill(isIn);
    marks.push(isIn);
  };
  if (mostRecentlyPushedCount !== undefined) {
    mark((isIn) => markLatest(snapshot, selected, 'pushed', mostRecentlyPushedCount, isIn));
  }
  if (mostRecentlyPulledCount !== undefined) {
    mark((isIn) => markLatest(snapshot, selected, 'used', mostRecentlyPulledCount, isIn));
  }
  if (semver !== undefined) mark((isIn) => markNewest(selected, semver.newest, isIn));
  if (budgetBytes !== undefined && rule.action === 'keep') {
    mark((isIn) => markWithinBudget(snapshot, selected, budgetBytes, () => false, isIn));
  }
  if (budgetBytes !== undefined && rule.action === 'prune') {
    mark((isBeyond) => {
      const isIn = new Uint8Array(snapshot.items.length);
      markWithinBudget(snapshot, selected, budgetBytes, mustStay, isIn);
      for (const place of selected.places) isBeyond[place] = isIn[place] === 1 ? 0 : 1;
    });
  }
  const [first, ...more] = marks;
  if (first === undefined) return undefined;
  for (const other of more) {
    for (const place of selected.places) first[place] = (first[place] ?? 0) & (other[place] ?? 0);
  }
  return first;
}

function fillSpan(snapshot: Snapshot, { rule, from, until }: Spans, place: number): void {
  const { items, pushed, tagged, born, used } = snapshot;
  const begin = beginOfRule(rule, items[place], born[place], used[place]);
  const end = endOfRule(rule, pushed[place], tagged[place], used[place]);
  from[place] = begin < end ? begin : Infinity;
  until[place] = end;
}

/** From when on the criteria of a rule hold that are about one item alone, by its times. NaN is a time not known. */
export function beginOfRule(
  { criteria, action }: Rule,
  item: Item | undefined,
  born: number | undefined,
  used: number | undefined,
): number {
  const unknown = unknownOf(action);
  const begin = Math.max(
    beginOf(born, criteria.olderThanMs, unknown.begin),
    beginOf(used, criteria.notPulledForMs, unknown.begin),
  );
  if (criteria.largerThanBytes === undefined) return begin;
  const sizeBytes = item?.sizeBytes ?? null;
  if (sizeBytes === null) return Math.max(begin, unknown.begin);
  return sizeBytes <= criteria.largerThanBytes ? never.begin : begin;
}

/** Until when they do. */
export function endOfRule(
  { criteria, action }: Rule,
  pushed: number | undefined,
  tagged: number | undefined,
  used: number | undefined,
): number {
  const unknown = unknownOf(action);
  return Math.min(
    endOf(pushed, criteria.pushedWithinMs, unknown.end),
    endOf(used, criteria.pulledWithinMs, unknown.end),
    endOf(tagged, criteria.taggedWithinMs, unknown.end),
  );
}

/** Where something is not known, a rule that keeps applies, and one that prunes does not. */
function unknownOf(action: Rule['action']): typeof always {
  return action === 'prune' ? never : always;
}

const always = { begin: -Infinity, end: Infinity };
const never = { begin: Infinity, end: -Infinity };

/** From when on a time is so long ago. */
function beginOf(time: number | undefined, ms: number | undefined, unknown: number): number {
  if (ms === undefined) return -Infinity;
  return time === undefined || Number.isNaN(time) ? unknown : time + ms;
}

/** Until when a time is less than so long ago. */
function endOf(time: number | undefined, ms: number | undefined, unknown: number): number {
  if (ms === undefined) return Infinity;
  return time === undefined || Number.isNaN(time) ? unknown : time + ms;
}
