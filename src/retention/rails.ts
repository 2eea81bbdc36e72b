import { nameOf, usedAt } from './facts.ts';
import type { Verdict } from './evaluate.ts';
import type { Rails } from './policy.ts';

/** What a repository has now, and what has been pruned of it within the last day. */
export interface RepositoryDay {
  readonly tags: number;
  /** All that it holds, each content counted once. */
  readonly sizeBytes: number;
  readonly prunedTags: number;
  readonly prunedBytes: number;
}

/** Something that is to go, and what its going frees after all before it in the list have gone. */
export interface Removal {
  readonly isTag: boolean;
  readonly freesBytes: number;
}

/** What may go now, and what has to wait for another day. */
export interface RailedRemovals<T> {
  readonly goes: readonly T[];
  readonly waits: readonly T[];
}

/** What is to be pruned, in the order in which it goes: the least recently used first; of the same time, by name. */
export function inOrderOfPruning(verdicts: readonly Verdict[]): readonly Verdict[] {
  return verdicts
    .filter(({ action }) => action === 'prune')
    .map((verdict) => ({ verdict, time: usedAt(verdict.item) ?? -Infinity, name: nameOf(verdict.item) }))
    .sort((one, other) => (one.time === other.time ? (one.name < other.name ? -1 : 1) : one.time - other.time))
    .map(({ verdict }) => verdict);
}

/**
 * How many of a list of removals, from its beginning, the rails let go now. They count from what the repository had
 * before the day's removals. Where a rail is not 0, one tag a day may always go, and so may the first bytes of a day,
 * however many: else a repository of three tags would never lose one.
 */
export function withinRails<T extends Removal>(
  { tagsPerDay, bytesPerDay }: Pick<Rails, 'tagsPerDay' | 'bytesPerDay'>,
  day: RepositoryDay,
  removals: readonly T[],
): RailedRemovals<T> {
  const mostTags = partOf(tagsPerDay, day.tags + day.prunedTags, 1);
  const mostBytes = partOf(bytesPerDay, day.sizeBytes + day.prunedBytes, 0);
  let { prunedTags, prunedBytes } = day;
  for (const [index, { isTag, freesBytes }] of removals.entries()) {
    const tags = prunedTags + (isTag ? 1 : 0);
    const bytes = prunedBytes + freesBytes;
    const areFirstBytes = bytesPerDay > 0 && prunedBytes === 0;
    if ((isTag && tags > mostTags) || (bytes > mostBytes && freesBytes > 0 && !areFirstBytes)) {
      return { goes: removals.slice(0, index), waits: removals.slice(index) };
    }
    [prunedTags, prunedBytes] = [tags, bytes];
  }
  return { goes: removals, waits: [] };
}

function partOf(share: number, whole: number, least: number): number {
  // Rounded first, because 0.07 * 100 is a little more than 7.
  return share === 0 ? 0 : Math.max(least, Math.floor(Number((share * whole).toFixed(6))));
}
