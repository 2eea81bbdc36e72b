import type { Digest } from '../../src/oci/digest.ts';
import type { RepositoryName, TagName } from '../../src/oci/names.ts';
import type { Reference } from '../../src/oci/reference.ts';
import type { Target } from '../../src/oci/target.ts';
import { Broken } from './broken.ts';
import type { Place } from './schedule.ts';
import { blobs, type KnownBlob, type KnownManifest, manifests, repositories, tags } from './universe.ts';

// Schedules name things by their places in the lists of universe.ts, and tables by their digests.

export function repositoryAt(place: number): RepositoryName {
  return at(repositories, place);
}

export function blobAt(place: number): KnownBlob {
  return at(blobs, place);
}

export function manifestAt(place: number): KnownManifest {
  return at(manifests, place);
}

/** Of a blob or a manifest. */
export function digestAt({ kind, place }: { readonly kind: 'blob' | 'manifest'; readonly place: number }): Digest {
  return kind === 'blob' ? blobAt(place).digest : manifestAt(place).digest;
}

export function tagAt(place: number): TagName {
  return at(tags, place);
}

/** What an action names by these places is this. */
export function placesOf({ repo, tag, digest }: Target): { repo: number; tag: Place; manifest: Place } {
  return {
    repo: repositories.indexOf(repo),
    tag: tag === undefined ? null : tags.indexOf(tag),
    manifest: digest === undefined ? null : placeOf(digest),
  };
}

/** What an action names: a tag, else a manifest, else the repository as a whole. */
export function referenceOf({ tag, manifest }: { tag: Place; manifest: Place }): Reference | undefined {
  if (tag !== null) return { kind: 'tag', tag: tagAt(tag) };
  return manifest === null ? undefined : { kind: 'digest', digest: manifestAt(manifest).digest };
}

/** Why something is pinned. */
export function reasonOf(place: number): string {
  return `reason ${place}`;
}

function at<T>(list: readonly T[], place: number): T {
  const found = list[place];
  if (found === undefined) throw new Error(`there is no place ${place} in the list`);
  return found;
}

/** Where a manifest stands in the list. */
export function placeOf(digest: Digest): number {
  return manifests.findIndex((each) => each.digest === digest);
}

/** The digest of a manifest's row. */
export function pushedManifest(digest: string): Digest {
  const found = manifests.find((each) => each.digest === digest);
  if (found === undefined) throw new Broken(`nobody has pushed manifest ${digest}`);
  return found.digest;
}

/** The digest of a link's row. */
export function pushedBlob(digest: string): Digest {
  const found = blobs.find((each) => each.digest === digest);
  if (found === undefined) throw new Broken(`nobody has pushed blob ${digest}`);
  return found.digest;
}
