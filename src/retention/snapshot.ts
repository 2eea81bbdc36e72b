import { bornAt, laterNameFirst, usedAt, type Item, type RepositoryFacts } from './facts.ts';

/** A repository's items in one row, tags first, and their times in order of that row. NaN is a time not known. */
export class Snapshot {
  readonly items: readonly Item[];
  readonly tagCount: number;
  readonly pushed: Float64Array;
  readonly tagged: Float64Array;
  readonly born: Float64Array;
  readonly used: Float64Array;
  readonly #orders = new Map<'pushed' | 'used', readonly number[]>();

  constructor({ tags, untagged }: RepositoryFacts) {
    this.items = untagged.length === 0 ? tags : [...tags, ...untagged];
    this.tagCount = tags.length;
    const { length } = this.items;
    this.pushed = new Float64Array(length);
    this.tagged = new Float64Array(length);
    this.born = new Float64Array(length);
    this.used = new Float64Array(length);
    for (let place = 0; place < length; place += 1) {
      const item = this.items[place];
      if (item === undefined) continue;
      this.pushed[place] = item.pushedAt ?? NaN;
      this.tagged[place] = item.taggedAt ?? NaN;
      this.born[place] = bornAt(item) ?? NaN;
      this.used[place] = usedAt(item) ?? NaN;
    }
  }

  /** All places, those with the later time first; last those whose time is not known. */
  laterFirst(times: 'pushed' | 'used'): readonly number[] {
    let order = this.#orders.get(times);
    if (order === undefined) {
      order = this.#sort(this[times]);
      this.#orders.set(times, order);
    }
    return order;
  }

  #sort(times: Float64Array): readonly number[] {
    return Array.from(this.items.keys()).sort((one, other) => {
      const oneTime = timeOf(times, one);
      const otherTime = timeOf(times, other);
      if (oneTime !== otherTime) return oneTime < otherTime ? 1 : -1;
      const oneItem = this.items[one];
      const otherItem = this.items[other];
      return oneItem === undefined || otherItem === undefined ? 0 : laterNameFirst(oneItem, otherItem);
    });
  }
}

/** The time of a place, or before all times where it is not known. */
export function timeOf(times: Float64Array, place: number): number {
  const time = times[place] ?? NaN;
  return Number.isNaN(time) ? -Infinity : time;
}
