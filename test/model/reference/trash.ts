import { type Answer, emptiedAnswer, movedOnAnswer, restoredAnswer } from '../answers.ts';
import type { Digest } from '../../../src/oci/digest.ts';
import type { RepositoryName, TagName } from '../../../src/oci/names.ts';
import { renewLease } from './lease.ts';
import { isKeptOut, isQuarantined, leavesQuarantine } from './purges.ts';
import { blobComes, manifestComes } from './pushes.ts';
import type { Reference } from './reference.ts';
import type { ModelRepository, TrashedTag } from './repository.ts';
import { tagPushed } from './retire.ts';

/** A tag leads to what it led to last, or to what is named, unless it leads to something else by now. */
export function restoreTag(
  model: Reference,
  repo: RepositoryName,
  tag: TagName,
  digest: Digest | undefined,
  now: number,
): Answer {
  const { tags, trashedTags } = model.in(repo);
  const trashed = [...trashedTags.values()].findLast(
    (each) => each.tag === tag && (digest === undefined || each.manifest === digest),
  );
  if (trashed === undefined) return whyNotInTrash(model, repo, digest ?? tag);
  const current = tags.get(tag);
  if (current !== undefined && current !== trashed.manifest) return movedOnAnswer(trashed.manifest, current);
  return bringBack(model, repo, trashed.manifest, [trashed], now);
}

/** A manifest comes back, with all that it lists, and with its tags where they do not lead to something else by now. */
export function restoreManifest(model: Reference, repo: RepositoryName, digest: Digest, now: number): Answer {
  const { manifests, trashedTags } = model.in(repo);
  const itsTags = [...trashedTags.values()].filter(({ manifest }) => manifest === digest);
  const isDeleted = manifests.get(digest)?.trashUntil !== undefined;
  if (!isDeleted && itsTags.length === 0) return whyNotInTrash(model, repo, digest);
  return bringBack(model, repo, digest, itsTags, now);
}

/** What a purge has taken cannot be brought back. */
function whyNotInTrash(model: Reference, repo: RepositoryName, name: TagName | Digest): Answer {
  return isQuarantined(model, repo, name) || isKeptOut(model, name) ? 'blocked' : 'not-in-trash';
}

function bringBack(
  model: Reference,
  repo: RepositoryName,
  digest: Digest,
  itsTags: readonly TrashedTag[],
  now: number,
): Answer {
  const there = model.in(repo);
  const deleted = deletedWithin(there, digest);
  for (const each of new Set([digest, ...deleted])) revive(model, repo, each, now);
  const movedOn: { tag: TagName; current: Digest }[] = [];
  const back: TagName[] = [];
  for (const { tag } of itsTags) {
    const current = there.tags.get(tag);
    if (current !== undefined && current !== digest) {
      movedOn.push({ tag, current });
      continue;
    }
    back.push(tag);
    tagPushed(there, tag, digest, now);
    leavesQuarantine(model, repo, tag);
    there.trashedTags.delete(`${tag} ${digest}`);
  }
  const manifest = there.manifests.get(digest);
  if (manifest !== undefined) manifest.wasTagged = back.length > 0;
  return restoredAnswer({ digest, tags: back, movedOn, manifests: [...deleted] });
}

/** Of a manifest and all that it lists, what is in the trash. */
function deletedWithin(there: ModelRepository, digest: Digest): ReadonlySet<Digest> {
  const manifest = there.manifests.get(digest);
  if (manifest?.trashUntil === undefined) return new Set();
  const deleted = new Set([digest]);
  for (const child of manifest.heldChildren) for (const each of deletedWithin(there, child)) deleted.add(each);
  return deleted;
}

/** It is as if it had just been pushed without a tag, and its blobs are visible. */
function revive(model: Reference, repo: RepositoryName, digest: Digest, now: number): void {
  const there = model.in(repo);
  const manifest = there.manifests.get(digest);
  if (manifest === undefined) return;
  manifest.trashUntil = undefined;
  manifest.wasTagged = false;
  manifest.wasReleased = false;
  manifest.usedAt = Math.max(manifest.usedAt, now);
  renewLease(manifest, now, model.windows.leaseMs);
  manifestComes(there, digest);
  for (const blob of manifest.heldBlobs) {
    const link = there.links.get(blob);
    if (link?.isHidden !== true) continue;
    link.isHidden = false;
    blobComes(there, blob);
  }
}

/** A part of the trash: all of it, a repository's, or what one of its tags or digests names. */
export interface TrashPart {
  readonly repo: RepositoryName | undefined;
  readonly tag: TagName | undefined;
  readonly digest: Digest | undefined;
}

/** The time of what is in the trash is over, unless that is only tried. */
export function emptyTrash(model: Reference, part: TrashPart, isTrial: boolean, now: number): Answer {
  let [manifests, tags] = [0, 0];
  for (const [repo, there] of model.repositories) {
    if (part.repo !== undefined && part.repo !== repo) continue;
    for (const [digest, manifest] of there.manifests) {
      const isMeant = part.tag === undefined && (part.digest ?? digest) === digest;
      if (!isMeant || (manifest.trashUntil ?? 0) <= now) continue;
      manifests++;
      if (!isTrial) manifest.trashUntil = now;
    }
    for (const [key, trashed] of there.trashedTags) {
      const isMeant =
        (part.tag ?? trashed.tag) === trashed.tag && (part.digest ?? trashed.manifest) === trashed.manifest;
      if (!isMeant || trashed.until <= now) continue;
      tags++;
      if (!isTrial) there.trashedTags.set(key, { ...trashed, until: now });
    }
  }
  return emptiedAnswer(manifests, tags);
}
