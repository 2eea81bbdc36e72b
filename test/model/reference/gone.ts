import type { Digest } from '../../../src/oci/digest.ts';
import type { RepositoryName } from '../../../src/oci/names.ts';
import { manifestOf, tagsAbout } from '../universe.ts';
import { release } from './deletes.ts';
import { heldManifests } from './holds.ts';
import type { Reference } from './reference.ts';

/**
 * Takes note that manifests have gone, in an order in which they may: each one when nothing holds it and no index lists
 * it any more.
 * @returns those of them that were held
 */
export function manifestsWent(
  model: Reference,
  repo: RepositoryName,
  gone: ReadonlySet<Digest>,
  now: number,
): readonly Digest[] {
  const left = new Set(gone);
  for (;;) {
    const held = heldManifests(model, repo, now);
    const may = [...left].filter((digest) => !held.has(digest) && !isListed(model, repo, digest));
    // What goes gives a lease to what it held, which may come to hold others in turn: those that have gone went first.
    const isSubject = (digest: Digest) => [...left].some((each) => manifestOf(each).subject === digest);
    const last = may.filter((digest) => !isSubject(digest));
    const next = last.find((digest) => manifestOf(digest).subject !== undefined) ?? last[0] ?? may[0];
    if (next === undefined) return [...left];
    left.delete(next);
    remove(model, repo, next, now);
  }
}

/** A blob that nothing held is not in the repository any more. */
export function linkWent(model: Reference, repo: RepositoryName, digest: Digest): void {
  model.in(repo).links.delete(digest);
}

function isListed(model: Reference, repo: RepositoryName, digest: Digest): boolean {
  return [...model.in(repo).manifests.values()].some((manifest) => manifest.heldChildren.has(digest));
}

function remove(model: Reference, repo: RepositoryName, digest: Digest, now: number): void {
  const { manifests, tags, trashedTags, pins } = model.in(repo);
  const removed = manifests.get(digest);
  manifests.delete(digest);
  for (const [key, trashed] of trashedTags) if (trashed.manifest === digest) trashedTags.delete(key);
  for (const child of removed?.heldChildren ?? []) release(model, repo, child, now);
  for (const { known } of manifests.values()) if (known.subject === digest) release(model, repo, known.digest, now);
  for (const tag of tagsAbout(digest)) {
    const target = tags.get(tag);
    if (pins.has(`tag ${tag}`)) continue;
    tags.delete(tag);
    if (target !== undefined) release(model, repo, target, now);
  }
}
