import { all, change, first, type Operation } from '../metadata/operation.ts';
import {
  deleteOldPullHistory,
  deleteOldPushHistory,
  lastPushHistory,
  nextDayOfPulls,
  pullOfDayBehind,
  pullsOfDayAfter,
} from '../metadata/queries/history.ts';
import type { MetadataStore } from '../metadata/store.ts';
import { dayOf } from '../registry/history.ts';
import type { Registry } from '../registry/registry.ts';

/** Rows that one transaction looks at, so that no request waits long. */
const batch = 500;
/** Rows of pulls that one step counts. */
const rowsCounted = 20_000;
/**
 * Rows that are kept at most, whatever the setting says: about 1 GiB of pulls, and half as much of pushes and removals,
 * beside the blobs of what was collected. Where there are more, the oldest go first.
 */
const mostRows = { pulls: 5_000_000, pushes: 2_000_000 };

/** How many rows of pulls the days have that are over, so that each day is counted once. */
export class DaysOfPulls {
  readonly #mostRows: number;
  readonly #rowsPerStep: number;
  readonly #rows = new Map<number, number>();

  constructor(most: number = mostRows.pulls, rowsPerStep: number = rowsCounted) {
    this.#mostRows = most;
    this.#rowsPerStep = rowsPerStep;
  }

  /** The first day that may be kept, in days since 1970. */
  async firstKept({ metadata }: { readonly metadata: Pick<MetadataStore, 'read'> }, today: number): Promise<number> {
    const days: number[] = [];
    for (let after = -1; ;) {
      const next = await metadata.read(() => first(nextDayOfPulls, { after }));
      if (next === undefined) break;
      days.push(next.day);
      after = next.day;
    }
    for (const day of this.#rows.keys()) if (!days.includes(day)) this.#rows.delete(day);
    let sum = 0;
    for (const day of days.toReversed()) {
      let rows = this.#rows.get(day);
      if (rows === undefined) {
        rows = await this.#count(metadata, day);
        if (day < today) this.#rows.set(day, rows);
      }
      sum += rows;
      if (sum > this.#mostRows) return day + 1;
    }
    return 0;
  }

  /** In steps, so that no request waits long. */
  async #count(metadata: Pick<MetadataStore, 'read'>, day: number): Promise<number> {
    const skip = this.#rowsPerStep - 1;
    let after = { repo: '', digest: '', tag: '' };
    for (let rows = 0; ; rows += this.#rowsPerStep) {
      const from = { day, ...after };
      const last = await metadata.read(() => first(pullOfDayBehind, { ...from, skip }));
      if (last === undefined) return rows + ((await metadata.read(() => first(pullsOfDayAfter, from)))?.rows ?? 0);
      after = last;
      await new Promise(setImmediate);
    }
  }
}

/**
 * Forgets what was pulled, pushed and removed too long ago, a few rows at a time, so that what is remembered neither
 * grows for ever nor beyond reason.
 */
export async function forgetOldHistory(registry: Registry, days: DaysOfPulls, mayGoOn: () => boolean): Promise<void> {
  const { clock, metadata, windows } = registry;
  const now = clock.now();
  const before = now - (windows.historyMs ?? 0);
  const firstDay = Math.max(dayOf(before - 1) + 1, await days.firstKept(registry, dayOf(now)));
  await inBatches(registry, mayGoOn, () => change(deleteOldPullHistory, { before: firstDay, limit: batch }));
  const last = await metadata.read(() => all(lastPushHistory, {}));
  const upTo = (last[0]?.id ?? 0) - mostRows.pushes;
  await inBatches(registry, mayGoOn, () => change(deleteOldPushHistory, { before, upTo, limit: batch }));
}

async function inBatches(
  { metadata }: Registry,
  mayGoOn: () => boolean,
  remove: () => Operation<number>,
): Promise<void> {
  while (mayGoOn()) {
    const removed = await metadata.writeUnsynced(remove, { fromReserve: true });
    if (removed < batch) return;
    await new Promise(setImmediate);
  }
}
