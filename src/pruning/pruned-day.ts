import { change, first, type Operation } from '../metadata/operation.ts';
import { deletePrunedBefore, prunedBetween } from '../metadata/queries/pruned-hours.ts';
import type { RepositoryName } from '../oci/names.ts';
import { prunedHourMs, prunedHours } from '../registry/retire.ts';

/** What has been pruned of a repository within the last day. */
export interface PrunedDay {
  readonly tags: number;
  readonly bytes: number;
  /** When the first of it counts no more, in ms since 1970; null where nothing was pruned. */
  readonly endsAt: number | null;
}

/**
 * By whole hours: what was pruned in an hour counts until all of that hour is a day ago. What seems to have been pruned
 * later than now counts as well, but not where that is more than a day: the clock was wrong then.
 */
export function* prunedWithinDay(repo: RepositoryName, now: number): Operation<PrunedDay> {
  const hour = firstHourOfDay(now);
  const row = yield* first(prunedBetween, { repo, hour, last: hour + 2 * prunedHours });
  const firstHour = row?.first_hour ?? null;
  return {
    tags: row?.tags ?? 0,
    bytes: row?.bytes ?? 0,
    endsAt: firstHour === null ? null : (firstHour + 1 + prunedHours) * prunedHourMs,
  };
}

/** Forgets what counts no more. @returns when the rest of it will, in ms since 1970; null where nothing is left */
export function* forgetPruned(repo: RepositoryName, now: number): Operation<number | null> {
  yield* change(deletePrunedBefore, { repo, hour: firstHourOfDay(now) });
  return (yield* prunedWithinDay(repo, now)).endsAt;
}

/** The first hour, since 1970, of which something counts at a time. */
function firstHourOfDay(now: number): number {
  return Math.floor(now / prunedHourMs) - prunedHours;
}
