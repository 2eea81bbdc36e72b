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
  const { clock, metadata, quotas } = registry;
  const known = quotas.of(repo);
  if (known === undefined) return { outcome: 'admitted', warnings: [] };
  const admission = await metadata.read(function* look() {
    const byKnown = yield* admitUploadNow(known, repo, blob);
    // Nobody is refused by a quota that another process has put out of force.
    return byKnown.outcome === 'admitted' ? byKnown : yield* admitUploadNow((yield* quotas.at()).of(repo), repo, blob);
  });
  if (admission.outcome === 'admitted' || !admission.over.isFirst) return admission;
  const now = clock.now();
  return await metadata.writeUnsynced(function* refuse(begun) {
    return yield* refuseUploadNow((yield* quotas.at(begun)).of(repo), repo, blob, { now });
  });
}
