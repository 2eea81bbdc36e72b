import type { Digest } from '../../../src/oci/digest.ts';
import type { RepositoryName } from '../../../src/oci/names.ts';
import type { Lease } from './lease.ts';
import type { Reference } from './reference.ts';
import type { ModelManifest } from './repository.ts';
import { doneSessionMs } from './uploads.ts';

/** How long an upload that began inside a promise may keep it, in ms. */
const longestUploadMs = 7 * 24 * 3_600_000;
/** How long after an upload it is noticed at last that it keeps nothing any more, in ms. */
const noticedAfterMs = 600_000;

/**
 * Whether a thing is held at least, by what clients and operators were told, or may be held at most: a HEAD promises less
 * than it may give, and a pull may be forgotten.
 */
export type Bound = 'at least' | 'at most';

function isPromised(model: Reference, repo: RepositoryName, lease: Lease, now: number, bound: Bound): boolean {
  if (bound === 'at most') {
    const prolongedUntil = model.in(repo).uploadedAt + Math.max(noticedAfterMs, model.windows.leaseMs);
    return Math.max(lease.leasedUntil, prolongedUntil) > now;
  }
  const until = lease.promisedUntil;
  if (until > now) return true;
  if (now >= until + longestUploadMs) return false;
  const afterUploadMs = Math.min(model.windows.leaseMs, doneSessionMs);
  for (const upload of model.uploads.values()) {
    if (upload.repo !== repo || upload.openedAt > until) continue;
    if (upload.done === undefined) return true;
    // It has outlasted the promise, and what it was for is still to come.
    if (upload.touchedAt >= until && upload.touchedAt + afterUploadMs > now) return true;
  }
  return false;
}

function holdsItself(
  model: Reference,
  repo: RepositoryName,
  manifest: ModelManifest,
  now: number,
  bound: Bound,
): boolean {
  const { tags, trashedTags, pins } = model.in(repo);
  const { digest } = manifest.known;
  if (pins.has('repository') || pins.has(`manifest ${digest}`)) return true;
  for (const target of tags.values()) if (target === digest) return true;
  for (const trashed of trashedTags.values()) if (trashed.manifest === digest && trashed.until > now) return true;
  if (manifest.trashUntil !== undefined) return manifest.trashUntil > now;
  return isWaiting(model, manifest, now, bound) || isPromised(model, repo, manifest, now, bound);
}

/** Whether a manifest waits for its first tag. */
function isWaiting(model: Reference, manifest: ModelManifest, now: number, bound: Bound): boolean {
  if (manifest.wasTagged || manifest.wasReleased) return false;
  const { leaseMs, neverTaggedMs } = model.windows;
  // A HEAD is a use too, where it renews the lease.
  const usedAt =
    bound === 'at least'
      ? Math.max(manifest.usedAt, manifest.pulledAt)
      : Math.max(manifest.usedAt, manifest.lastPulledAt, manifest.leasedUntil - leaseMs);
  return usedAt + neverTaggedMs > now;
}

/** What is held, from what holds itself downward: what an index lists, and what a thing that is held is the subject of. */
export function heldManifests(
  model: Reference,
  repo: RepositoryName,
  now: number,
  bound: Bound = 'at least',
): ReadonlySet<Digest> {
  const { manifests } = model.in(repo);
  const held = new Set<Digest>();
  const waiting = [...manifests.values()].filter((manifest) => holdsItself(model, repo, manifest, now, bound));
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { digest } = next.known;
    if (held.has(digest)) continue;
    held.add(digest);
    for (const other of manifests.values()) {
      const refersToIt = other.trashUntil === undefined && other.known.subject === digest;
      if (refersToIt || next.heldChildren.has(other.known.digest)) waiting.push(other);
    }
  }
  return held;
}

/** Whether anything keeps a blob visible, or hidden for what is in the trash. */
export function isBlobHeld(
  model: Reference,
  repo: RepositoryName,
  digest: Digest,
  now: number,
  bound: Bound = 'at least',
): boolean {
  const { links, manifests } = model.in(repo);
  const link = links.get(digest);
  if (link === undefined) return false;
  if (!link.isHidden && isPromised(model, repo, link, now, bound)) return true;
  for (const manifest of manifests.values()) if (manifest.heldBlobs.has(digest)) return true;
  return false;
}

/** What holds a manifest, were it held itself: what lists it, and its subject. */
export function holdersOf(model: Reference, repo: RepositoryName, digest: Digest): readonly Digest[] {
  const { manifests } = model.in(repo);
  const manifest = manifests.get(digest);
  const listing = [...manifests.values()].filter((other) => other.heldChildren.has(digest));
  const subject = manifest?.trashUntil === undefined ? manifest?.known.subject : undefined;
  const subjects = subject !== undefined && manifests.has(subject) ? [subject] : [];
  return [...listing.map(({ known }) => known.digest), ...subjects];
}
