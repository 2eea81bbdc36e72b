import { all, first, type Operation } from '../metadata/operation.ts';
import { manifestTimes } from '../metadata/queries/holds.ts';
import { otherManifestHolding } from '../metadata/queries/purge-plan.ts';
import { heldBlobsOf, presentChildrenOf } from '../metadata/queries/removals.ts';
import { tagTarget } from '../metadata/queries/tags.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Target } from '../oci/target.ts';

/** Something that images consist of. */
export interface ImageContent {
  readonly digest: Digest;
  readonly kind: 'manifest' | 'blob';
  /** An image that needs it too, and is none of those; undefined where none does. */
  readonly sharedWith: { readonly repo: RepositoryName; readonly digest: Digest } | undefined;
}

export type ImageContents =
  | { readonly outcome: 'found'; readonly contents: readonly ImageContent[] }
  | { readonly outcome: 'unknown'; readonly target: Target };

/**
 * What some images consist of, by their tags or digests: their manifests, of an index those of all that it lists, and
 * their configs and layers, of which it is known whether any other image needs them.
 */
export function* contentsOfImages(targets: readonly Target[]): Operation<ImageContents> {
  const manifests = new Set<Digest>();
  const blobs = new Set<Digest>();
  for (const target of targets) {
    const root = yield* manifestOf(target);
    if (root === undefined) return { outcome: 'unknown', target };
    const { repo } = target;
    const waiting = [root];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      manifests.add(next);
      for (const { digest } of yield* all(heldBlobsOf, { repo, manifest: next })) blobs.add(digest);
      for (const { child } of yield* all(presentChildrenOf, { repo, parent: next })) {
        if (!manifests.has(child)) waiting.push(child);
      }
    }
  }
  const images = [...manifests];
  const contents: ImageContent[] = images.map((digest) => ({ digest, kind: 'manifest', sharedWith: undefined }));
  for (const digest of blobs) {
    const other = yield* first(otherManifestHolding, { digest, images });
    const sharedWith = other === undefined ? undefined : { repo: other.repo, digest: other.manifest };
    contents.push({ digest, kind: 'blob', sharedWith });
  }
  return { outcome: 'found', contents };
}

/** Visible or in the trash. */
function* manifestOf({ repo, tag, digest }: Target): Operation<Digest | undefined> {
  const led = tag === undefined ? undefined : (yield* first(tagTarget, { repo, name: tag }))?.manifest;
  if (tag !== undefined && (led === undefined || (digest !== undefined && led !== digest))) return undefined;
  const named = digest ?? led;
  if (named === undefined) return undefined;
  return (yield* first(manifestTimes, { repo, digest: named })) === undefined ? undefined : named;
}
