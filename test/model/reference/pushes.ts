import type { Digest } from '../../../src/oci/digest.ts';
import type { RepositoryName, TagName } from '../../../src/oci/names.ts';
import type { KnownManifest } from '../universe.ts';
import { untag } from './deletes.ts';
import type { Reference } from './reference.ts';

export type PutAnswer = 'created' | 'missing';

/** An upload or a mount makes a blob visible, for a lease at least. */
export function linkBlob(model: Reference, repo: RepositoryName, digest: Digest, now: number): void {
  const { links, manifests } = model.in(repo);
  const promisedUntil = Math.max(links.get(digest)?.promisedUntil ?? 0, now + model.windows.leaseMs);
  links.set(digest, { promisedUntil, isHidden: false });
  for (const { known, heldBlobs } of manifests.values()) {
    if (known.blobs.includes(digest) || known.foreignBlobs.includes(digest)) heldBlobs.add(digest);
  }
}

/** A HEAD that said yes promises half a lease at least. */
export function promiseBlob(model: Reference, repo: RepositoryName, digest: Digest, now: number): void {
  const link = model.in(repo).links.get(digest);
  if (link !== undefined) link.promisedUntil = Math.max(link.promisedUntil, now + model.windows.leaseMs / 2);
}

/** The same of a manifest. */
export function promiseManifest(model: Reference, repo: RepositoryName, digest: Digest, now: number): void {
  const manifest = model.in(repo).manifests.get(digest);
  if (manifest === undefined) return;
  manifest.promisedUntil = Math.max(manifest.promisedUntil, now + model.windows.leaseMs / 2);
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
  const lacksBlobs = known.blobs.some((digest) => !model.seesBlob(repo, digest));
  const lacksChildren = known.children.some((digest) => !model.sees(repo, digest));
  if ((lacksBlobs && !model.sparse.images) || (lacksChildren && !model.sparse.indexes)) return 'missing';
  const before = there.manifests.get(known.digest);
  const all = [...known.blobs, ...known.foreignBlobs];
  there.manifests.set(known.digest, {
    known,
    trashUntil: undefined,
    promisedUntil: Math.max(before?.promisedUntil ?? 0, now + model.windows.leaseMs),
    wasTagged: (before?.wasTagged ?? false) || tags.length > 0,
    wasReleased: false,
    usedAt: now,
    pulledAt: before?.pulledAt ?? 0,
    heldBlobs: new Set(all.filter((digest) => model.seesBlob(repo, digest))),
    heldChildren: new Set(known.children.filter((digest) => model.sees(repo, digest))),
  });
  for (const { known: other, heldChildren } of there.manifests.values()) {
    if (other.children.includes(known.digest)) heldChildren.add(known.digest);
  }
  for (const tag of tags) {
    const target = there.tags.get(tag);
    there.tags.set(tag, known.digest);
    if (target !== undefined && target !== known.digest) untag(model, repo, tag, target, now);
  }
  return 'created';
}
