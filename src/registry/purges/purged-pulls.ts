import { change, first, type Operation } from '../../metadata/operation.ts';
import { nextDayOfPulls } from '../../metadata/queries/history.ts';
import { pullsOnDays, recordPlacePulls } from '../../metadata/queries/purged-pulls.ts';
import type { MetadataStore } from '../../metadata/store.ts';
import { purgedPlaces } from './purged-places.ts';

/** How often what was purged had been pulled, of what the history of pulls still has. @returns the days that it has */
export async function recordPurgedPulls(
  metadata: Pick<MetadataStore, 'read' | 'writeUnsynced'>,
  purge: number,
): Promise<readonly string[]> {
  const days = await metadata.read(daysOfPulls);
  if (days.length === 0) return days;
  for await (const { repo, digest } of purgedPlaces(metadata, purge, 'manifest')) {
    if (repo === '' || digest === '') continue;
    const found = await metadata.read(() => first(pullsOnDays, { repo, digest, days }));
    const { pulls, last_at: lastAt } = found ?? { pulls: null, last_at: null };
    if (pulls === null) continue;
    await metadata.writeUnsynced(() => change(recordPlacePulls, { purge, repo, digest, pulls, lastAt }));
  }
  return days;
}

/** The days of which pulls are remembered. */
function* daysOfPulls(): Operation<readonly string[]> {
  const days: string[] = [];
  for (let next = yield* first(nextDayOfPulls, { after: -1 }); next !== undefined;) {
    days.push(String(next.day));
    next = yield* first(nextDayOfPulls, { after: next.day });
  }
  return days;
}
