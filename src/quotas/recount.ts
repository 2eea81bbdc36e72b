import { change, first, type Operation } from '../metadata/operation.ts';
import { insertQuota, quotaByNumber, retireQuota } from '../metadata/queries/quotas.ts';

/** Gives up what a count has counted, and begins it anew. Nothing is refused until it is done. */
export function* recount(number: number): Operation<void> {
  const quota = yield* first(quotaByNumber, { number });
  if (quota === undefined || quota.position === null) return;
  const { position, repositories_hash: hash, settings } = quota;
  yield* change(retireQuota, { number });
  yield* change(insertQuota, { position, hash, settings });
}
