import { all, first, type Operation } from '../metadata/operation.ts';
import { manifestTimes } from '../metadata/queries/holds.ts';
import { liveObject } from '../metadata/queries/objects.ts';
import { allReferrersOf, heldBlobsOf, presentChildrenOf } from '../metadata/queries/removals.ts';
import { tagTarget } from '../metadata/queries/tags.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import { tagsAbout } from '../oci/tags-about.ts';
import { Standings, type WithoutTag } from './standing.ts';

/** What is below a manifest, and what of it would go if the manifest lost what holds it. */
export interface Released {
  /** Bytes of all blobs that it, its children, its referrers and what tags about them keep need, each counted once. */
  readonly logicalBytes: number;
  /** Those of them that nothing else would hold. */
  readonly uniqueBytes: number;
  readonly blobs: number;
  readonly uniqueBlobs: number;
  /** The manifests that would go. */
  readonly manifests: number;
  /** Their own bytes, in the database. */
  readonly manifestBytes: number;
}

/**
 * What deleting some or all of a manifest's tags would free once all windows are over: computed from the rules by
 * which the collector would do it, and from nothing but what is below the manifest and what else holds that.
 */
export function* released(repo: RepositoryName, digest: Digest, without: readonly WithoutTag[]): Operation<Released> {
  const standings = new Standings({ tags: without });
  const sizes = new Map<Digest, number>();
  let manifests = 0;
  let manifestBytes = 0;
  for (const each of yield* below(repo, digest)) {
    for (const blob of yield* all(heldBlobsOf, { repo, manifest: each })) {
      sizes.set(blob.digest, (yield* first(liveObject, { digest: blob.digest }))?.size_bytes ?? 0);
    }
    if (yield* standings.isHeld(repo, each)) continue;
    manifests++;
    manifestBytes += (yield* first(manifestTimes, { repo, digest: each }))?.size_bytes ?? 0;
  }
  let [logicalBytes, uniqueBytes, uniqueBlobs] = [0, 0, 0];
  for (const [blob, sizeBytes] of sizes) {
    logicalBytes += sizeBytes;
    if (yield* standings.isBlobHeld(blob)) continue;
    uniqueBytes += sizeBytes;
    uniqueBlobs++;
  }
  return { logicalBytes, uniqueBytes, blobs: sizes.size, uniqueBlobs, manifests, manifestBytes };
}

/** A manifest and all that it holds: its children, its referrers, and what older clients keep by a tag about it. */
export function* below(repo: RepositoryName, digest: Digest): Operation<ReadonlySet<Digest>> {
  const found = new Set<Digest>();
  const waiting = [digest];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    waiting.push(...(yield* all(presentChildrenOf, { repo, parent: next })).map(({ child }) => child));
    waiting.push(...(yield* all(allReferrersOf, { repo, subject: next })).map((referrer) => referrer.digest));
    for (const name of tagsAbout(next)) {
      const about = yield* first(tagTarget, { repo, name });
      if (about !== undefined) waiting.push(about.manifest);
    }
  }
  return found;
}
