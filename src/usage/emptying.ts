import { all, first, type Operation } from '../metadata/operation.ts';
import { liveObject } from '../metadata/queries/objects.ts';
import { heldBlobsOf } from '../metadata/queries/removals.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Target } from '../oci/target.ts';
import type { Registry } from '../registry/registry.ts';
import { isNamed, trashBatches } from '../registry/trash/trash.ts';
import { below } from './released.ts';
import { Standings } from './standing.ts';
import type { OnProgress } from './usage.ts';

/** Blobs that one step looks at, so that no request waits long. */
const blobsPerStep = 200;

/** What emptying the trash would give back, once leases and the like are over. */
export interface FreedByEmptying {
  readonly bytes: number;
  readonly blobs: number;
}

/**
 * Adds up the blobs that only what is named in the trash still keeps: not those that a tag, a pin or something else in
 * the trash keeps too. What changes meanwhile may be counted as it was or as it is.
 *
 * @param target as for emptying the trash: undefined for all of it
 */
export async function freedByEmptying(
  registry: Registry,
  target: Target | undefined,
  onProgress: OnProgress = () => undefined,
): Promise<FreedByEmptying> {
  const { metadata } = registry;
  const digests = new Set<Digest>();
  for await (const entries of trashBatches(registry, target)) {
    for (const { repo, digest } of entries) {
      for (const blob of await metadata.read(() => blobsBelow(repo, digest))) digests.add(blob);
    }
  }
  const freed = { bytes: 0, blobs: 0 };
  let done = 0;
  for (const step of chunksOf([...digests], blobsPerStep)) {
    const sizes = await metadata.read(() => sizesOfFreed(step, target));
    freed.blobs += sizes.length;
    freed.bytes += sizes.reduce((sum, size) => sum + size, 0);
    done += step.length;
    onProgress({ name: 'blobs', done });
  }
  return freed;
}

function* blobsBelow(repo: RepositoryName, digest: Digest): Operation<readonly Digest[]> {
  const found: Digest[] = [];
  for (const manifest of yield* below(repo, digest)) {
    found.push(...(yield* all(heldBlobsOf, { repo, manifest })).map((blob) => blob.digest));
  }
  return found;
}

function* sizesOfFreed(digests: readonly Digest[], target: Target | undefined): Operation<readonly number[]> {
  const standings = new Standings({ trash: (repo, digest, tag) => isNamed(target, { repo, digest, tag }) });
  const sizes: number[] = [];
  for (const digest of digests) {
    const object = yield* first(liveObject, { digest });
    if (object !== undefined && (yield* standings.ofBlob(digest)) === 'waiting') sizes.push(object.size_bytes);
  }
  return sizes;
}

function* chunksOf<T>(items: readonly T[], length: number): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += length) yield items.slice(start, start + length);
}
