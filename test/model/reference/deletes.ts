import type { Digest } from '../../../src/oci/digest.ts';
import type { RepositoryName, TagName } from '../../../src/oci/names.ts';
import { renewLease } from './lease.ts';
import { pinAgainstDelete, pinAgainstTagDelete, type PinnedBy } from './pins.ts';
import type { Reference } from './reference.ts';

export type DeleteAnswer = 'deleted' | 'unknown' | 'referenced' | PinnedBy;

/** A blob is hidden, unless a visible manifest needs it. */
export function deleteBlob(model: Reference, repo: RepositoryName, digest: Digest): DeleteAnswer {
  if (!model.seesBlob(repo, digest)) return 'unknown';
  const { links, manifests } = model.in(repo);
  for (const manifest of manifests.values()) {
    if (manifest.trashUntil === undefined && manifest.heldBlobs.has(digest)) return 'referenced';
  }
  links.set(digest, { promisedUntil: 0, leasedUntil: 0, isHidden: true });
  return 'deleted';
}

/** A manifest goes into the trash with its tags, unless a visible index lists it. */
export function deleteManifest(model: Reference, repo: RepositoryName, digest: Digest, now: number): DeleteAnswer {
  const there = model.in(repo);
  const { manifests, tags } = there;
  const manifest = manifests.get(digest);
  if (manifest === undefined || manifest.trashUntil !== undefined) return 'unknown';
  for (const other of manifests.values()) {
    if (other.trashUntil === undefined && other.heldChildren.has(digest)) return 'referenced';
  }
  const pinned = pinAgainstDelete(there, digest);
  if (pinned !== undefined) return pinned;
  const until = now + model.windows.trashMs;
  manifest.trashUntil = until;
  for (const [tag, target] of tags) {
    if (target !== digest) continue;
    tags.delete(tag);
    there.trashTag({ tag, manifest: digest, until });
  }
  return 'deleted';
}

/** What a tag led to stays for the trash window. */
export function deleteTag(model: Reference, repo: RepositoryName, tag: TagName, now: number): DeleteAnswer {
  const there = model.in(repo);
  const target = there.tags.get(tag);
  if (target === undefined) return 'unknown';
  const pinned = pinAgainstTagDelete(there, tag);
  if (pinned !== undefined) return pinned;
  there.tags.delete(tag);
  untag(model, repo, tag, target, now);
  return 'deleted';
}

/** A lease of no time is one too: an upload that has begun by its end prolongs it. */
type LeaseOfReleased = 'a whole one' | 'none';

/** A tag leads elsewhere, or nowhere: what it led to is in the trash. */
export function untag(
  model: Reference,
  repo: RepositoryName,
  tag: TagName,
  target: Digest,
  now: number,
  lease: LeaseOfReleased = 'a whole one',
): void {
  const until = now + model.windows.trashMs;
  model.in(repo).trashTag({ tag, manifest: target, until });
  release(model, repo, target, now, lease);
}

/** Something that held a manifest is gone: it stays for a lease, and not as one that waits for its first tag. */
export function release(
  model: Reference,
  repo: RepositoryName,
  digest: Digest,
  now: number,
  lease: LeaseOfReleased = 'a whole one',
): void {
  const manifest = model.in(repo).manifests.get(digest);
  if (manifest === undefined) return;
  manifest.wasReleased = true;
  if (lease === 'a whole one') renewLease(manifest, now, model.windows.leaseMs);
}
