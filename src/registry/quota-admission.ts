import type { RepositoryName } from '../oci/names.ts';
import { admitUploadNow, type BlobToCome, refuseUploadNow } from './quota-usage.ts';
import type { Admission } from './quotas.ts';
import type { Registry } from './registry.ts';

export interface UploadToBegin {
  readonly repo: RepositoryName;
  /** What will come, where it is known; its size may still not be. */
  readonly blob: BlobToCome | undefined;
}

/**
 * Whether a quota leaves room for an upload, before any of its bytes come. It may be used up by others meanwhile: the
 * commit looks again. What the quota has already is never refused.
 */
export async function admitUpload(registry: Registry, { repo, blob }: UploadToBegin): Promise<Admission> {
  const quota = registry.quotas.of(repo);
  if (quota === undefined) return { outcome: 'admitted', warnings: [] };
  const admission = await registry.metadata.read(() => admitUploadNow(quota, repo, blob));
  if (admission.outcome === 'admitted' || !admission.over.isFirst) return admission;
  const now = registry.clock.now();
  return await registry.metadata.writeUnsynced(() => refuseUploadNow(quota, repo, blob, { now }));
}
