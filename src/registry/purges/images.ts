import { all, first, type Operation } from '../../metadata/operation.ts';
import { manifestTimes, parentsOf } from '../../metadata/queries/holds.ts';
import { anyTagTo, anyTrashedTagTo } from '../../metadata/queries/purge-check.ts';
import {
  otherIndexLacking,
  otherIndexListing,
  otherManifestHolding,
  otherManifestLacking,
} from '../../metadata/queries/purge-plan.ts';
import { findPin } from '../../metadata/queries/pins.ts';
import { heldBlobsOf, presentChildrenOf } from '../../metadata/queries/removals.ts';
import { tagTarget } from '../../metadata/queries/tags.ts';
import { isCommonContent } from '../../oci/common-contents.ts';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/names.ts';
import type { Target } from '../../oci/target.ts';
import { repositoriesWithManifest } from '../manifests/places.ts';

/** Something that images consist of. */
export interface ImageContent {
  readonly digest: Digest;
  readonly kind: 'manifest' | 'blob';
  /** What needs it too, and is none of what is purged; undefined where nothing does. */
  readonly sharedWith: Target | undefined;
  /** Whether it is purged with them. */
  readonly isTaken: boolean;
}

export type ImageContents =
  | { readonly outcome: 'found'; readonly contents: readonly ImageContent[] }
  | { readonly outcome: 'unknown'; readonly target: Target };

export interface ImagesToPurge {
  readonly images: readonly Target[];
  /** What is purged besides, whatever needs it. */
  readonly digests: readonly Digest[];
  /** Whether what others need is taken, too. */
  readonly withShared: boolean;
}

/**
 * What some images consist of, by their tags or digests: their manifests, of an index those of all that it lists, and
 * their configs and layers. What is named is purged; of the rest what nothing else of the registry needs, visible or in
 * the trash: no tag, index or image that stays. What stays needs what it is made of, in its turn. What tells nothing, such
 * as the empty config, stays for those who come after.
 */
export function* contentsOfImages({ images, digests, withShared }: ImagesToPurge): Operation<ImageContents> {
  const manifests = new Map<Digest, Manifest>();
  for (const target of images) {
    const root = yield* manifestOf(target);
    if (root === undefined) return { outcome: 'unknown', target };
    yield* addTree(manifests, target.repo, root);
  }
  for (const each of digests) {
    const manifest = manifests.get(each);
    if (manifest !== undefined) manifest.isNamed = true;
  }

  const taken = new Set<Digest>([...digests, ...manifests.keys()]);
  const sharedWith = new Map<Digest, Target>();
  const waiting = [...manifests.keys()];
  for (let digest = waiting.pop(); digest !== undefined; digest = waiting.pop()) {
    const manifest = manifests.get(digest);
    if (manifest === undefined || manifest.isNamed || sharedWith.has(digest)) continue;
    const other = yield* whatElseNeeds(digest, manifest.repo, [...taken]);
    if (other === undefined) continue;
    sharedWith.set(digest, other);
    if (withShared) continue;
    taken.delete(digest);
    waiting.push(...manifest.children);
  }

  const contents: ImageContent[] = [...manifests.keys()].map((digest) => ({
    digest,
    kind: 'manifest',
    sharedWith: sharedWith.get(digest),
    isTaken: taken.has(digest),
  }));
  const gone = [...taken];
  for (const digest of new Set([...manifests.values()].flatMap(({ blobs }) => blobs))) {
    if (isCommonContent(digest)) {
      contents.push({ digest, kind: 'blob', sharedWith: undefined, isTaken: taken.has(digest) });
      continue;
    }
    const other =
      (yield* first(otherManifestHolding, { digest, images: gone })) ??
      (yield* first(otherManifestLacking, { digest, images: gone }));
    const shared = other === undefined ? undefined : { repo: other.repo, tag: undefined, digest: other.manifest };
    const isTaken = withShared || shared === undefined || taken.has(digest);
    contents.push({ digest, kind: 'blob', sharedWith: shared, isTaken });
  }
  return { outcome: 'found', contents };
}

interface Manifest {
  /** Where it was found first. */
  readonly repo: RepositoryName;
  readonly blobs: readonly Digest[];
  readonly children: readonly Digest[];
  isNamed: boolean;
}

/** A manifest that was named, with all that it lists. */
function* addTree(manifests: Map<Digest, Manifest>, repo: RepositoryName, root: Digest): Operation<void> {
  const waiting = [root];
  for (let digest = waiting.pop(); digest !== undefined; digest = waiting.pop()) {
    if (manifests.has(digest)) continue;
    const blobs = (yield* all(heldBlobsOf, { repo, manifest: digest })).map((blob) => blob.digest);
    const children = (yield* all(presentChildrenOf, { repo, parent: digest })).map(({ child }) => child);
    manifests.set(digest, { repo, blobs, children, isNamed: false });
    waiting.push(...children);
  }
  const named = manifests.get(root);
  if (named !== undefined) named.isNamed = true;
}

/** What needs a manifest that an image lists, but for some manifests: a tag, an index, a pin, or a repository where no index has it. */
function* whatElseNeeds(digest: Digest, repo: RepositoryName, taken: readonly Digest[]): Operation<Target | undefined> {
  const tag = (yield* first(anyTagTo, { digest })) ?? (yield* first(anyTrashedTagTo, { digest }));
  if (tag !== undefined) return { repo: tag.repo, tag: tag.name, digest: undefined };
  const index =
    (yield* first(otherIndexListing, { digest, images: taken })) ??
    (yield* first(otherIndexLacking, { digest, images: taken }));
  if (index !== undefined) return { repo: index.repo, tag: undefined, digest: index.parent };
  for (const each of yield* repositoriesWithManifest(digest)) {
    const isPinned = (yield* first(findPin, { repo: each, kind: 'manifest', name: digest })) !== undefined;
    const isByItself = each !== repo && (yield* first(parentsOf, { repo: each, child: digest })) === undefined;
    if (isPinned || isByItself) return { repo: each, tag: undefined, digest };
  }
  return undefined;
}

/** Visible or in the trash. */
function* manifestOf({ repo, tag, digest }: Target): Operation<Digest | undefined> {
  const led = tag === undefined ? undefined : (yield* first(tagTarget, { repo, name: tag }))?.manifest;
  if (tag !== undefined && (led === undefined || (digest !== undefined && led !== digest))) return undefined;
  const named = digest ?? led;
  if (named === undefined) return undefined;
  return (yield* first(manifestTimes, { repo, digest: named })) === undefined ? undefined : named;
}
