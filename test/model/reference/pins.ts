import type { Digest } from '../../../src/oci/digest.ts';
import type { RepositoryName, TagName } from '../../../src/oci/names.ts';
import type { Reference as TagOrDigest } from '../../../src/oci/reference.ts';
import type { Reference } from './reference.ts';
import type { ModelRepository } from './repository.ts';

/** Something is refused, since what it would take away is pinned. */
export type PinnedBy = 'pinned by tag' | 'pinned by digest' | 'pinned by repository';

/** What stands in the list of pins for a thing: a repository where there is no reference. */
export function pinKey(reference: TagOrDigest | undefined): string {
  if (reference === undefined) return 'repository';
  return reference.kind === 'tag' ? `tag ${reference.tag}` : `manifest ${reference.digest}`;
}

/** Pins what clients can see, or a repository in which anything is, be it hidden. */
export function pin(
  model: Reference,
  repo: RepositoryName,
  reference: TagOrDigest | undefined,
  reason: string,
): 'pinned' | 'unknown' {
  const there = model.in(repo);
  const isThere =
    reference === undefined
      ? there.manifests.size + there.links.size > 0
      : reference.kind === 'tag'
        ? there.tags.has(reference.tag)
        : model.sees(repo, reference.digest);
  if (!isThere) return 'unknown';
  there.pins.set(pinKey(reference), reason);
  return 'pinned';
}

/** Takes a pin away. */
export function unpin(
  model: Reference,
  repo: RepositoryName,
  reference: TagOrDigest | undefined,
): 'unpinned' | 'unknown' {
  return model.in(repo).pins.delete(pinKey(reference)) ? 'unpinned' : 'unknown';
}

/** What keeps a tag from being moved. */
export function pinAgainstMove({ pins }: ModelRepository, tag: TagName): PinnedBy | undefined {
  return pins.has(`tag ${tag}`) ? 'pinned by tag' : undefined;
}

/** What keeps a tag from being deleted. */
export function pinAgainstTagDelete(there: ModelRepository, tag: TagName): PinnedBy | undefined {
  return pinAgainstMove(there, tag) ?? pinOfRepository(there);
}

/** What keeps a manifest from being deleted: its tags would go with it. */
export function pinAgainstDelete(there: ModelRepository, digest: Digest): PinnedBy | undefined {
  if (there.pins.has(`manifest ${digest}`)) return 'pinned by digest';
  const tags = [...there.tags].filter(([, target]) => target === digest);
  return tags.some(([tag]) => pinAgainstMove(there, tag) !== undefined) ? 'pinned by tag' : pinOfRepository(there);
}

function pinOfRepository({ pins }: ModelRepository): PinnedBy | undefined {
  return pins.has('repository') ? 'pinned by repository' : undefined;
}
