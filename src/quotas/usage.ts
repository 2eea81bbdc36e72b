import { all, first, type Operation } from '../metadata/operation.ts';
import { quotaUsage, quotaUsagesAfter } from '../metadata/queries/quotas.ts';
import type { MetadataStore } from '../metadata/store.ts';
import type { QuotaFigures } from '../metrics/quota-gauges.ts';
import type { RepositoryName } from '../oci/names.ts';
import { type QuotaInForce, setInForce } from './in-force.ts';

/** What is used of a quota. */
export interface QuotaUsage {
  readonly quota: QuotaInForce;
  /** Undefined where it is for all of its repositories together. */
  readonly repo: RepositoryName | undefined;
  /** Whether all is counted; until then what is used is at least this, and nothing is refused. */
  readonly isCounted: boolean;
  readonly bytes: number;
  readonly tags: number;
}

/** Where a page begins: at a quota, and where that is for each of its repositories, at the first one after `repo`. */
export interface QuotaPosition {
  readonly position: number;
  readonly repo: string;
}

/**
 * A page of what is used of quotas, in their order; of one that is for each of its repositories, of each that has
 * something in it.
 */
export async function quotaUsages(
  metadata: MetadataStore,
  { from, limit }: { readonly from: QuotaPosition; readonly limit: number },
): Promise<{ readonly usages: readonly QuotaUsage[]; readonly next: QuotaPosition | undefined }> {
  return await metadata.read(function* page() {
    const set = yield* setInForce();
    const usages: QuotaUsage[] = [];
    for (const quota of set.quotas.slice(from.position)) {
      const after = quota.position === from.position ? from.repo : '';
      const some = yield* usagesOf(quota, after, limit - usages.length);
      usages.push(...some);
      if (usages.length < limit) continue;
      const last = usages.at(-1);
      return { usages, next: last && { position: quota.position + (quota.isEach ? 0 : 1), repo: last.repo ?? '' } };
    }
    return { usages, next: undefined };
  });
}

function* usagesOf(quota: QuotaInForce, after: string, limit: number): Operation<readonly QuotaUsage[]> {
  const isCounted = quota.phase === 'complete';
  if (quota.isEach) {
    const rows = yield* all(quotaUsagesAfter, { quota: quota.number, after, limit });
    return rows.flatMap(({ repo, bytes, tags }) => (repo === '' ? [] : [{ quota, repo, isCounted, bytes, tags }]));
  }
  const { bytes, tags } = (yield* first(quotaUsage, { quota: quota.number })) ?? { bytes: 0, tags: 0 };
  return [{ quota, repo: undefined, isCounted, bytes, tags }];
}

/** What the metrics show: of each repository of a quota that is for each, they would be too many. */
export async function quotaFigures(metadata: MetadataStore): Promise<readonly QuotaFigures[]> {
  return await metadata.read(function* figures() {
    const shown: QuotaFigures[] = [];
    for (const quota of (yield* setInForce()).quotas) {
      if (quota.isEach) continue;
      for (const { isCounted, bytes, tags } of yield* usagesOf(quota, '', 1)) {
        const { name } = quota;
        shown.push({ name, isCounted, bytes: { used: bytes, ...quota.bytes }, tags: { used: tags, ...quota.tags } });
      }
    }
    return shown;
  });
}
