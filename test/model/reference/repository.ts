import type { Digest } from '../../../src/oci/digest.ts';
import type { TagName } from '../../../src/oci/names.ts';
import type { KnownManifest } from '../universe.ts';

/** A manifest that is there, be it in the trash. */
export interface ModelManifest {
  readonly known: KnownManifest;
  trashUntil: number | undefined;
  /** Until when a client that was told of it may build on it. */
  promisedUntil: number;
  wasTagged: boolean;
  wasReleased: boolean;
  usedAt: number;
  /** A pull that a killed process would forget. */
  pulledAt: number;
  /** What it refers to and holds: absent content it holds only when it comes. */
  readonly heldBlobs: Set<Digest>;
  readonly heldChildren: Set<Digest>;
}

export interface ModelLink {
  promisedUntil: number;
  isHidden: boolean;
}

/** What a deleted or moved tag pointed at. */
export interface TrashedTag {
  readonly manifest: Digest;
  readonly until: number;
}

/** What there is in a repository, visible or in the trash. */
export class ModelRepository {
  readonly manifests = new Map<Digest, ModelManifest>();
  readonly links = new Map<Digest, ModelLink>();
  readonly tags = new Map<TagName, Digest>();
  readonly trashedTags = new Map<string, TrashedTag>();

  /** The same again, to go on from in two ways. */
  copy(): ModelRepository {
    const copy = new ModelRepository();
    for (const [digest, manifest] of this.manifests) {
      const { heldBlobs, heldChildren } = manifest;
      copy.manifests.set(digest, { ...manifest, heldBlobs: new Set(heldBlobs), heldChildren: new Set(heldChildren) });
    }
    for (const [digest, link] of this.links) copy.links.set(digest, { ...link });
    for (const [tag, digest] of this.tags) copy.tags.set(tag, digest);
    for (const [key, trashed] of this.trashedTags) copy.trashedTags.set(key, trashed);
    return copy;
  }
}
