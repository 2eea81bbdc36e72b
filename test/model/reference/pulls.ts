import type { Digest } from '../../../src/oci/digest.ts';
import type { RepositoryName } from '../../../src/oci/names.ts';
import type { Reference } from './reference.ts';

/** A pull counts as soon as it is made; a killed process would forget it. */
export function pulled(model: Reference, repo: RepositoryName, digest: Digest, now: number): void {
  const manifest = model.in(repo).manifests.get(digest);
  if (manifest === undefined) return;
  manifest.pulledAt = now;
  manifest.lastPulledAt = now;
  if (manifest.trashUntil === undefined) manifest.surelyPulledAt = now;
}

/** The pulls until now are written, or forgotten. */
export function pullsEnd(model: Reference, areWritten: boolean): void {
  for (const { manifests } of model.repositories.values()) {
    for (const manifest of manifests.values()) {
      if (areWritten) manifest.usedAt = Math.max(manifest.usedAt, manifest.pulledAt);
      else manifest.surelyPulledAt = 0;
      manifest.pulledAt = 0;
    }
  }
}
