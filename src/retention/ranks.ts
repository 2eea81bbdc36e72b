import type { Digest } from '../oci/digest.ts';
import { newerFirst, type NameReading } from './selection.ts';
import type { Snapshot } from './snapshot.ts';

/** What a rule selects of a snapshot: its places in the row, and what the rule makes of its names. */
export interface Selected {
  readonly places: readonly number[];
  /** By place; undefined for what is not selected. */
  readonly readings: readonly (NameReading | undefined)[];
}

/**
 * Of each group, the latest by a time; `isIn` gets a 1 for them. What has no such time comes last, so it takes nobody's
 * place; it is kept for having none. Untagged manifests, of which there may be many, do not take the places of tags.
 */
export function markLatest(
  snapshot: Snapshot,
  { readings }: Selected,
  times: 'pushed' | 'used',
  count: number,
  isIn: Uint8Array,
): void {
  const tags = new Map<string, number>();
  let untagged = 0;
  for (const place of snapshot.laterFirst(times)) {
    const reading = readings[place];
    if (reading === undefined) continue;
    const isTag = place < snapshot.tagCount;
    const taken = isTag ? (tags.get(reading.group) ?? 0) : untagged;
    if (taken >= count) continue;
    isIn[place] = 1;
    if (isTag) tags.set(reading.group, taken + 1);
    else untagged += 1;
  }
}

/** Of each group, the newest versions. Tags of one version (`1.2.3` and `v1.2.3`) are in or out together. */
export function markNewest({ places, readings }: Selected, count: number, isIn: Uint8Array): void {
  const groups = new Map<string, { readonly place: number; readonly version: NonNullable<NameReading['version']> }[]>();
  for (const place of places) {
    const reading = readings[place];
    if (reading?.version === undefined) continue;
    const member = { place, version: reading.version };
    const group = groups.get(reading.versionGroup);
    if (group === undefined) groups.set(reading.versionGroup, [member]);
    else group.push(member);
  }
  for (const group of groups.values()) {
    group.sort((one, other) => newerFirst(one.version, other.version));
    let versions = 0;
    let last: NameReading['version'];
    for (const { place, version } of group) {
      if (last === undefined || newerFirst(last, version) !== 0) versions += 1;
      if (versions > count) break;
      last = version;
      isIn[place] = 1;
    }
  }
}

/**
 * Those that fit into a number of bytes together, the least recently used being left out first; content that several
 * have is counted once. What must stay is in whatever it takes, and so is what nobody knows the use of; their bytes are
 * counted first.
 */
export function markWithinBudget(
  snapshot: Snapshot,
  { places, readings }: Selected,
  budgetBytes: number,
  mustStay: (place: number) => boolean,
  isIn: Uint8Array,
): void {
  const counted = new Set<Digest>();
  let sizeBytes = 0;
  const add = (place: number): void => {
    for (const content of snapshot.items[place]?.contents ?? []) {
      const before = counted.size;
      counted.add(content.digest);
      if (counted.size > before) sizeBytes += content.sizeBytes;
    }
  };
  for (const place of places) {
    if (!Number.isNaN(snapshot.used[place]) && !mustStay(place)) continue;
    add(place);
    isIn[place] = 1;
  }
  for (const place of snapshot.laterFirst('used')) {
    if (readings[place] === undefined || isIn[place] === 1) continue;
    add(place);
    if (sizeBytes > budgetBytes) return;
    isIn[place] = 1;
  }
}
