import { all, change, first, type Operation } from '../metadata/operation.ts';
import {
  addQuotaLink,
  addQuotaUsage,
  anyStaleQuota,
  clearQuotaBlobs,
  clearQuotaUsage,
  countTagsAfter,
  deleteQuota,
  moveQuotaCursor,
} from '../metadata/queries/quotas.ts';
import { linkedBlobsAfter, repositoriesAfter } from '../metadata/queries/usage.ts';
import type { QuotaPhase } from '../metadata/schema.ts';
import { parseRepositoryName, type RepositoryName } from '../oci/names.ts';
import { scopeOf } from '../registry/quota-usage.ts';
import { type QuotaInForce, setInForce } from './in-force.ts';

/** Rows that one transaction counts or clears. */
export interface Pages {
  readonly links: number;
  readonly tags: number;
  readonly repositories: number;
  readonly cleared: number;
}

/** So few that no request waits long. */
const usual: Pages = { links: 50, tags: 1000, repositories: 500, cleared: 500 };

/** Behind any digest and any tag. */
const behind = '~';

/**
 * One step of counting what the repositories of a quota hold, of the first that is not counted yet: a page of the links of
 * one of them, then, when all of them are through, of their tags. The cursor moves in the same transaction, and whatever
 * changes behind it meanwhile is counted by whoever changes it (registry/quota-usage.ts). So it is exact at any moment, also
 * where the process ends in between, or another one puts other quotas in force.
 *
 * @returns whether there may be more to count
 */
export function* countOn(pages = usual): Operation<boolean> {
  const set = yield* setInForce();
  const quota = set.quotas.find(({ phase: is }) => is !== 'complete');
  if (quota === undefined || quota.phase === 'complete' || quota.phase === 'stale') return false;
  const { number, phase, cursor } = quota;
  const isIts = (name: RepositoryName): boolean => set.of(name) === quota;
  const repo = parseRepositoryName(cursor.repo);
  if (repo !== undefined && isIts(repo)) {
    const last = yield* countPage(quota, phase, repo, { after: cursor.item, pages });
    if (last !== undefined) {
      yield* change(moveQuotaCursor, { number, phase, repo, item: last });
      return true;
    }
  }
  const page = yield* all(repositoriesAfter, { after: cursor.repo, limit: pages.repositories });
  const next = page.find(({ name }) => isIts(name));
  const lastSeen = page.at(-1);
  if (next !== undefined) {
    yield* change(moveQuotaCursor, { number, phase, repo: next.name, item: '' });
  } else if (lastSeen !== undefined && page.length === pages.repositories) {
    yield* change(moveQuotaCursor, { number, phase, repo: lastSeen.name, item: behind });
  } else {
    yield* change(moveQuotaCursor, { number, phase: phase === 'links' ? 'tags' : 'complete', repo: '', item: '' });
  }
  return true;
}

/** @returns where the next page of the repository begins; undefined where this was its last */
function* countPage(
  quota: QuotaInForce,
  phase: Exclude<QuotaPhase, 'complete' | 'stale'>,
  repo: RepositoryName,
  { after, pages }: { readonly after: string; readonly pages: Pages },
): Operation<string | undefined> {
  const { number } = quota;
  const scope = scopeOf(quota, repo);
  if (phase === 'tags') {
    const page = yield* first(countTagsAfter, { repo, after, limit: pages.tags });
    if (page === undefined || page.count === 0) return undefined;
    yield* change(addQuotaUsage, { quota: number, scope, bytes: 0, tags: page.count });
    return page.count === pages.tags ? page.last : undefined;
  }
  const page = yield* all(linkedBlobsAfter, { repo, after, limit: pages.links });
  let bytes = 0;
  for (const { digest, size_bytes: size } of page) {
    const counted = yield* first(addQuotaLink, { quota: number, scope, digest, size });
    if (counted?.links === 1) bytes += size;
  }
  if (bytes > 0) yield* change(addQuotaUsage, { quota: number, scope, bytes, tags: 0 });
  return page.length === pages.links ? page.at(-1)?.digest : undefined;
}

/** Clears some of what is counted for no quota any more. @returns whether there is more */
export function* clearStale(pages = usual): Operation<boolean> {
  const stale = yield* first(anyStaleQuota, {});
  if (stale === undefined) return false;
  const { number } = stale;
  const blobs = yield* change(clearQuotaBlobs, { quota: number, limit: pages.cleared });
  const usages = yield* change(clearQuotaUsage, { quota: number, limit: pages.cleared });
  if (blobs + usages === 0) yield* change(deleteQuota, { number });
  return true;
}
