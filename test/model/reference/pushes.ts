import type { Digest } from '../../../src/oci/digest.ts';
import type { RepositoryName, TagName } from '../../../src/oci/names.ts';
import type { KnownManifest } from '../universe.ts';
import { untag } from './deletes.ts';
import { promiseLease, renewLease } from './lease.ts';
import { pinAgainstMove, type PinnedBy } from './pins.ts';
import { leavesQuarantine, refersToPurged } from './purges.ts';
import type { Reference } from './reference.ts';
import type { ModelManifest, ModelRepository } from './repository.ts';
import { tagPushed } from './retire.ts';

export type PutAnswer = 'created' | 'missing' | 'blocked' | PinnedBy;

/** An upload or a mount makes a blob visible, for a lease at least. */
export function linkBlob(model: Reference, repo: RepositoryName, digest: Digest, now: number): void {
  const there = model.in(repo);
  const { links } = there;
  const link = { promisedUntil: 0, leasedUntil: 0, ...links.get(digest), isHidden: false };
  renewLease(link, now, model.windows.leaseMs);
  links.set(digest, link);
  there.uploadedAt = now;
  blobComes(there, digest);
}

/** From here on a blob is held by all that refers to it, be it that they came while it was absent. */
export function blobComes({ manifests }: ModelRepository, digest: Digest): void {
  for (const { known, heldBlobs } of manifests.values()) {
    if (known.blobs.includes(digest) || known.foreignBlobs.includes(digest)) heldBlobs.add(digest);
  }
}

/** The same of a manifest, and the indexes that list it. */
export function manifestComes({ manifests }: ModelRepository, digest: Digest): void {
  for (const { known, heldChildren } of manifests.values()) {
    if (known.children.includes(digest)) heldChildren.add(digest);
  }
}

/** A HEAD that said yes promises half a lease at least. */
export function promiseBlob(model: Reference, repo: RepositoryName, digest: Digest, now: number): void {
  const link = model.in(repo).links.get(digest);
  if (link !== undefined) promiseLease(link, now, model.windows.leaseMs);
}

/** The same of a manifest. */
export function promiseManifest(model: Reference, repo: RepositoryName, digest: Digest, now: number): void {
  const manifest = model.in(repo).manifests.get(digest);
  if (manifest !== undefined) promiseLease(manifest, now, model.windows.leaseMs);
}

/** A manifest comes, or comes again, with its tags. */
export function put(
  model: Reference,
  repo: RepositoryName,
  known: KnownManifest,
  tags: readonly TagName[],
  now: number,
): PutAnswer {
  const there = model.in(repo);
  if (refersToPurged(model, known)) return 'blocked';
  const lacksBlobs = known.blobs.some((digest) => !model.seesBlob(repo, digest));
  const lacksChildren = known.children.some((digest) => !model.sees(repo, digest));
  if ((lacksBlobs && !model.sparse.images) || (lacksChildren && !model.sparse.indexes)) return 'missing';
  for (const tag of tags) {
    const target = there.tags.get(tag);
    const pinned = target === undefined || target === known.digest ? undefined : pinAgainstMove(there, tag);
    if (pinned !== undefined) return pinned;
  }
  const before = there.manifests.get(known.digest);
  const all = [...known.blobs, ...known.foreignBlobs];
  const manifest: ModelManifest = {
    known,
    trashUntil: undefined,
    promisedUntil: before?.promisedUntil ?? 0,
    leasedUntil: before?.leasedUntil ?? 0,
    wasTagged: (before?.wasTagged ?? false) || tags.length > 0,
    wasReleased: false,
    usedAt: now,
    pulledAt: before?.pulledAt ?? 0,
    lastPulledAt: before?.lastPulledAt ?? 0,
    surelyPulledAt: before?.surelyPulledAt ?? 0,
    heldBlobs: new Set(all.filter((digest) => model.seesBlob(repo, digest))),
    heldChildren: new Set(known.children.filter((digest) => model.sees(repo, digest))),
  };
  renewLease(manifest, now, model.windows.leaseMs);
  there.manifests.set(known.digest, manifest);
  manifestComes(there, known.digest);
  for (const name of [known.digest, ...tags]) leavesQuarantine(model, repo, name);
  for (const tag of tags) {
    const target = there.tags.get(tag);
    tagPushed(there, tag, known.digest, now);
    if (target !== undefined && target !== known.digest) untag(model, repo, tag, target, now);
  }
  return 'created';
}
