import type { Digest } from '../../../src/oci/digest.ts';
import type { RepositoryName, TagName } from '../../../src/oci/names.ts';
import { type KnownManifest, tagsAbout } from '../universe.ts';
import { release } from './deletes.ts';
import type { Reference } from './reference.ts';
import type { ModelRepository } from './repository.ts';

/** What a purge keeps out, and what names it when it is pulled. */
export interface ModelPurge {
  readonly keptOut: Set<Digest>;
  /** As quarantineKey writes them. */
  readonly quarantined: Set<string>;
}

/** Something that a client could pull, and that names a purge from then on. */
export function quarantineKey(repo: RepositoryName, name: TagName | Digest): string {
  return `${repo} ${name}`;
}

/** No tag is written like a digest. */
export function isKeptOut({ purges }: Reference, name: TagName | Digest): boolean {
  return purges.some(({ keptOut }) => [...keptOut].some((digest) => digest === name));
}

/** Whether anything that a push brings or refers to is kept out. */
export function refersToPurged(model: Reference, { digest, blobs, foreignBlobs, children }: KnownManifest): boolean {
  return [digest, ...blobs, ...foreignBlobs, ...children].some((each) => isKeptOut(model, each));
}

export function isQuarantined({ purges }: Reference, repo: RepositoryName, name: TagName | Digest): boolean {
  return purges.some(({ quarantined }) => quarantined.has(quarantineKey(repo, name)));
}

/** All that is kept out or quarantined. */
export function purgedNames({ purges }: Reference): ReadonlySet<string> {
  return new Set(purges.flatMap(({ keptOut, quarantined }) => [...keptOut, ...quarantined]));
}

/** It is there again. */
export function leavesQuarantine({ purges }: Reference, repo: RepositoryName, name: TagName | Digest): void {
  for (const { quarantined } of purges) quarantined.delete(quarantineKey(repo, name));
}

/** A digest is taken away everywhere, with all that needs it, whatever holds that, and kept out. */
export function purge(model: Reference, digest: Digest, now: number): 'purged' {
  const purged: ModelPurge = { keptOut: new Set([digest]), quarantined: new Set() };
  for (const [repo, there] of model.repositories) {
    const gone = goneWith(there, digest);
    there.links.delete(digest);
    for (const [tag, target] of there.tags) {
      if (!gone.has(target)) continue;
      there.tags.delete(tag);
      there.pins.delete(`tag ${tag}`);
      purged.quarantined.add(quarantineKey(repo, tag));
    }
    for (const [key, { manifest }] of there.trashedTags) if (gone.has(manifest)) there.trashedTags.delete(key);
    const released = new Set<Digest>();
    for (const each of gone) {
      for (const child of there.manifests.get(each)?.heldChildren ?? []) released.add(child);
      there.manifests.delete(each);
      there.pins.delete(`manifest ${each}`);
      purged.quarantined.add(quarantineKey(repo, each));
    }
    for (const { known } of there.manifests.values()) {
      if (known.subject !== undefined && gone.has(known.subject)) released.add(known.digest);
    }
    for (const tag of [...gone].flatMap((each) => tagsAbout(each))) {
      const target = there.tags.get(tag);
      if (target === undefined || there.pins.has(`tag ${tag}`)) continue;
      there.tags.delete(tag);
      released.add(target);
    }
    for (const each of released) release(model, repo, each, now);
  }
  model.purges.push(purged);
  return 'purged';
}

/** What needs a digest, and the indexes above that, be it that they came while it was absent or in the trash. */
function goneWith({ manifests }: ModelRepository, digest: Digest): ReadonlySet<Digest> {
  const gone = new Set<Digest>();
  const needs = ({ known: { digest: own, blobs, foreignBlobs, children } }: { readonly known: KnownManifest }) =>
    own === digest || [...blobs, ...foreignBlobs, ...children].includes(digest);
  for (const [each, manifest] of manifests) if (needs(manifest)) gone.add(each);
  for (let before = -1; before !== gone.size;) {
    before = gone.size;
    for (const [each, { known }] of manifests) if (known.children.some((child) => gone.has(child))) gone.add(each);
  }
  return gone;
}

/** It may come again; what was purged with nothing else that is kept out is not in quarantine any more. */
export function lift(model: Reference, digest: Digest): 'lifted' | 'not-blocked' {
  if (!isKeptOut(model, digest)) return 'not-blocked';
  for (const { keptOut } of model.purges) keptOut.delete(digest);
  model.purges = model.purges.filter(({ keptOut }) => keptOut.size > 0);
  return 'lifted';
}
