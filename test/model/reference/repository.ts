import type { Digest } from '../../../src/oci/digest.ts';
import type { TagName } from '../../../src/oci/names.ts';
import type { KnownManifest } from '../universe.ts';
import type { Lease } from './lease.ts';

/** A manifest that is there, be it in the trash. */
export interface ModelManifest extends Lease {
  readonly known: KnownManifest;
  trashUntil: number | undefined;
  wasTagged: boolean;
  wasReleased: boolean;
  usedAt: number;
  /** A pull that a killed process would forget. */
  pulledAt: number;
  /** The last pull, be it forgotten. */
  lastPulledAt: number;
  /** The last pull that is written, or would be before anything is pruned; 0 where a killed process may have forgotten it. */
  surelyPulledAt: number;
  /** What it refers to and holds: absent content it holds only when it comes. */
  readonly heldBlobs: Set<Digest>;
  readonly heldChildren: Set<Digest>;
}

export interface ModelLink extends Lease {
  isHidden: boolean;
}

/** When a tag came to lead where it leads, and between which times it was last pushed or asked for. */
export interface TagTimes {
  readonly movedAt: number;
  readonly pushedAtLeast: number;
  readonly pushedAtMost: number;
}

/** What a deleted or moved tag pointed at. */
export interface TrashedTag {
  readonly tag: TagName;
  readonly manifest: Digest;
  readonly until: number;
}

/** What there is in a repository, visible or in the trash. */
export class ModelRepository {
  readonly manifests = new Map<Digest, ModelManifest>();
  readonly links = new Map<Digest, ModelLink>();
  readonly tags = new Map<TagName, Digest>();
  /** Also of tags that have gone. */
  readonly tagTimes = new Map<TagName, TagTimes>();
  /** By tag and digest, in the order in which they came. */
  readonly trashedTags = new Map<string, TrashedTag>();
  /** By what is pinned: "repository", "tag x", "manifest sha256:…". With the reason. */
  readonly pins = new Map<string, string>();

  /** When an upload was last seen to be under way. */
  uploadedAt = 0;

  /** What a tag led to is in the trash, as the last to come. */
  trashTag(trashed: TrashedTag): void {
    const key = `${trashed.tag} ${trashed.manifest}`;
    this.trashedTags.delete(key);
    this.trashedTags.set(key, trashed);
  }

  /** The same again, to go on from in two ways. */
  copy(): ModelRepository {
    const copy = new ModelRepository();
    for (const [digest, manifest] of this.manifests) {
      const { heldBlobs, heldChildren } = manifest;
      copy.manifests.set(digest, { ...manifest, heldBlobs: new Set(heldBlobs), heldChildren: new Set(heldChildren) });
    }
    for (const [digest, link] of this.links) copy.links.set(digest, { ...link });
    for (const [tag, digest] of this.tags) copy.tags.set(tag, digest);
    for (const [tag, times] of this.tagTimes) copy.tagTimes.set(tag, times);
    for (const [key, trashed] of this.trashedTags) copy.trashedTags.set(key, trashed);
    for (const [key, reason] of this.pins) copy.pins.set(key, reason);
    copy.uploadedAt = this.uploadedAt;
    return copy;
  }
}
