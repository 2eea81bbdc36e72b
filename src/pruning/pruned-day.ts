import { first, type Operation } from '../metadata/operation.ts';
import { prunedSince } from '../metadata/queries/pruned-hours.ts';
import type { RepositoryName } from '../oci/names.ts';
import { prunedHourMs } from '../registry/retire.ts';

const hoursOfDay = 24;

/** What has been pruned of a repository within the last day. */
export interface PrunedDay {
  readonly tags: number;
  readonly bytes: number;
  /** When the first of it counts no more, in ms since 1970; null where nothing was pruned. */
  readonly endsAt: number | null;
}

/** By whole hours: what was pruned in an hour counts until all of that hour is a day ago. */
export function* prunedWithinDay(repo: RepositoryName, now: number): Operation<PrunedDay> {
  const row = yield* first(prunedSince, { repo, hour: firstHourOfDay(now) });
  const firstHour = row?.first_hour ?? null;
  return {
    tags: row?.tags ?? 0,
    bytes: row?.bytes ?? 0,
    endsAt: firstHour === null ? null : (firstHour + 1 + hoursOfDay) * prunedHourMs,
  };
}

/** The first hour, since 1970, of which something counts at a time. */
export function firstHourOfDay(now: number): number {
  return Math.floor(now / prunedHourMs) - hoursOfDay;
}
