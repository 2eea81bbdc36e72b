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
  const { criteria, action } = rule;
  const { items, pushed, tagged, born, used } = snapshot;
  // Where something is not known, a rule that keeps applies, and one that prunes does not.
  const unknown = action === 'prune' ? never : always;
  let begin = Math.max(
    beginOf(born[place], criteria.olderThanMs, unknown.begin),
    beginOf(used[place], criteria.notPulledForMs, unknown.begin),
  );
  const end = Math.min(
    endOf(pushed[place], criteria.pushedWithinMs, unknown.end),
    endOf(used[place], criteria.pulledWithinMs, unknown.end),
    endOf(tagged[place], criteria.taggedWithinMs, unknown.end),
  );
  if (criteria.largerThanBytes !== undefined) {
    const sizeBytes = items[place]?.sizeBytes ?? null;
    if (sizeBytes === null) begin = Math.max(begin, unknown.begin);
    else if (sizeBytes <= criteria.largerThanBytes) begin = never.begin;
  }
  from[place] = begin < end ? begin : Infinity;
  until[place] = end;
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
