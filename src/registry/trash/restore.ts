import { all, change, first, type Operation } from '../../metadata/operation.ts';
import { manifestTimes } from '../../metadata/queries/holds.ts';
import { attachAbsentBlobEdges } from '../../metadata/queries/links.ts';
import { attachAbsentChildEdges } from '../../metadata/queries/manifests.ts';
import { blockedAmong } from '../../metadata/queries/objects.ts';
import { releaseTagFromQuarantine } from '../../metadata/queries/purge-quarantine.ts';
import { deleteTrashedTag, heldBlobsOf, presentChildrenOf, trashedTagsOf } from '../../metadata/queries/removals.ts';
import { markManifestTagged, tagTarget, upsertTag } from '../../metadata/queries/tags.ts';
import { reviveManifest, showBlobsOf, trashedTag } from '../../metadata/queries/trash.ts';
import type { TagTrashTable } from '../../metadata/schema.ts';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName, TagName } from '../../oci/names.ts';
import type { Target } from '../../oci/target.ts';
import type { Actor } from '../actor.ts';
import { recordEvent } from '../events.ts';
import { keepsHistory, rememberManifest, rememberTag } from '../history.ts';
import { type Purged, purgedBy, purgedReference } from '../purges/purged.ts';
import { countTags } from '../quota-usage.ts';
import type { Quota } from '../quotas.ts';
import type { Registry } from '../registry.ts';
import { type RetentionScope, reviewRepository } from '../retention-review.ts';
import { reviewManifest } from '../review.ts';

export interface RestoreRequest {
  /** A tag, with the digest that it led to where that is not the last one; or a manifest with all its tags. */
  readonly target: Target;
  readonly actor: Actor;
}

/** A tag that leads to something else by now, and stays so. */
export interface MovedOn {
  readonly tag: TagName;
  readonly current: Digest;
}

export type RestoreOutcome =
  | {
      readonly outcome: 'restored';
      readonly digest: Digest;
      /** The tags that lead to it again. */
      readonly tags: readonly TagName[];
      readonly movedOn: readonly MovedOn[];
      /** Those that were deleted, and are visible again: the manifest itself, and children that were deleted too. */
      readonly manifests: readonly Digest[];
    }
  | { readonly outcome: 'not-in-trash' }
  /** Nothing was changed: the one tag that was asked for leads to something else by now. */
  | { readonly outcome: 'moved-on'; readonly tag: TagName; readonly current: Digest; readonly digest: Digest }
  | { readonly outcome: 'blocked'; readonly purged: Purged };

/**
 * T_undo: brings a deleted manifest or tag back with all that it needs, any time before the collector has taken it
 * (R26). All that it needs is there, because what is in the trash keeps its edges (I4, I5); the collector either comes
 * before this transaction, and nothing is in the trash any more, or sees what it has restored. Tags are put back where
 * nothing else has their name by now.
 */
export async function restore(registry: Registry, { target, actor }: RestoreRequest): Promise<RestoreOutcome> {
  const now = registry.clock.now();
  const leaseUntil = now + registry.windows.leaseMs;
  const { quotas, retention, windows } = registry;
  const by = { actor, now, leaseUntil, retention, keepsHistory: keepsHistory(windows) };
  return await registry.metadata.write(function* undoNow(begun): Operation<RestoreOutcome> {
    return yield* undo(target, { ...by, quota: (yield* quotas.at(begun)).of(target.repo) });
  });
}

interface Undo {
  readonly actor: Actor;
  readonly quota: Quota | undefined;
  readonly now: number;
  readonly leaseUntil: number;
  readonly retention: RetentionScope;
  readonly keepsHistory: boolean;
}

function* undo({ repo, tag, digest }: Target, by: Undo): Operation<RestoreOutcome> {
  const found =
    tag === undefined
      ? yield* manifestInTrash(repo, digest)
      : lastOf((yield* all(trashedTag, { repo, name: tag })).filter(isOf(digest)));
  if (found === undefined) {
    const purged = yield* purgedTarget(repo, tag, digest);
    return purged === undefined ? { outcome: 'not-in-trash' } : { outcome: 'blocked', purged };
  }

  const deleted = yield* deletedWithin(repo, found.digest);
  const blocked = yield* firstBlocked(repo, found.digest, deleted);
  if (blocked !== undefined) return { outcome: 'blocked', purged: purgedBy(blocked) };
  const movedOn: MovedOn[] = [];
  const free: TagName[] = [];
  const added: TagName[] = [];
  for (const { name } of found.tags) {
    const current = yield* first(tagTarget, { repo, name });
    if (current === undefined) added.push(name);
    if (current === undefined || current.manifest === found.digest) free.push(name);
    else movedOn.push({ tag: name, current: current.manifest });
  }
  const [inTheWay] = movedOn;
  if (tag !== undefined && inTheWay !== undefined) {
    return { outcome: 'moved-on', ...inTheWay, digest: found.digest };
  }

  const { actor, quota, now, leaseUntil } = by;
  yield* countTags(quota, repo, added, { now, actor });
  for (const each of deleted) {
    yield* showBlobs(repo, each);
    yield* change(attachAbsentChildEdges, { repo, child: each });
    yield* recordEvent({ at: now, kind: 'manifest.restored', repo, digest: each, actor });
  }
  // Also where it is not deleted: one that got none of its tags back shall stay as one that waits for its first.
  for (const each of [...new Set([found.digest, ...deleted])].toSorted()) {
    if (by.keepsHistory) {
      yield* rememberManifest({ at: now, repo, digest: each }, yield* first(manifestTimes, { repo, digest: each }));
    }
    yield* change(reviveManifest, { repo, digest: each, leaseUntil });
  }
  for (const name of free.toSorted()) {
    if (by.keepsHistory) {
      const about = { at: now, repo, digest: found.digest };
      yield* rememberTag(about, name, yield* first(tagTarget, { repo, name }));
    }
    yield* change(upsertTag, { repo, name, manifest: found.digest, now });
    yield* change(releaseTagFromQuarantine, { repo, tag: name });
    yield* change(deleteTrashedTag, { repo, name, manifest: found.digest });
    yield* recordEvent({ at: now, kind: 'tag.restored', repo, digest: found.digest, tag: name, actor });
  }
  if (free.length > 0) yield* change(markManifestTagged, { repo, digest: found.digest, now });
  for (const each of [...new Set([found.digest, ...deleted])].toSorted()) {
    yield* reviewManifest(repo, each, leaseUntil);
  }
  // What comes back may be a signature, for which a policy may keep something.
  yield* reviewRepository(by.retention, repo, 'narrowed', now);
  return { outcome: 'restored', digest: found.digest, tags: free, movedOn, manifests: deleted };
}

interface InTrash {
  readonly digest: Digest;
  readonly tags: readonly TagTrashTable[];
}

/** A manifest that was deleted, or that tags led to which were. */
function* manifestInTrash(repo: RepositoryName, digest: Digest | undefined): Operation<InTrash | undefined> {
  if (digest === undefined) return undefined;
  const row = yield* first(manifestTimes, { repo, digest });
  const tags = yield* all(trashedTagsOf, { repo, manifest: digest });
  if (row === undefined || (row.state === 'live' && tags.length === 0)) return undefined;
  return { digest, tags };
}

function isOf(digest: Digest | undefined): (row: TagTrashTable) => boolean {
  return ({ manifest }) => digest === undefined || manifest === digest;
}

/** What a tag led to last. */
function lastOf(rows: readonly TagTrashTable[]): InTrash | undefined {
  const [latest] = rows.toSorted((a, b) => b.trashed_at - a.trashed_at);
  return latest === undefined ? undefined : { digest: latest.manifest, tags: [latest] };
}

/** The deleted ones among a manifest and all that it lists, in the order of their digests. */
function* deletedWithin(repo: RepositoryName, digest: Digest): Operation<readonly Digest[]> {
  const seen = new Set<Digest>();
  const deleted: Digest[] = [];
  const waiting = [digest];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    const row = yield* first(manifestTimes, { repo, digest: next });
    // What is visible has visible children only (I5).
    if (row?.state !== 'trashed') continue;
    deleted.push(next);
    waiting.push(...(yield* all(presentChildrenOf, { repo, parent: next })).map(({ child }) => child));
  }
  return deleted.toSorted();
}

/**
 * The blobs of a manifest that comes back are visible again; what was pushed without them while they were not holds them
 * from here on, as it does when they are pushed (R20).
 */
function* showBlobs(repo: RepositoryName, manifest: Digest): Operation<void> {
  if ((yield* change(showBlobsOf, { repo, manifest })) === 0) return;
  for (const { digest } of yield* all(heldBlobsOf, { repo, manifest })) {
    yield* change(attachAbsentBlobEdges, { repo, digest });
  }
}

/** What was purged is in no trash. */
function* purgedTarget(repo: RepositoryName, tag: TagName | undefined, digest: Digest | undefined) {
  if (digest !== undefined) return yield* purgedReference(repo, { kind: 'digest', digest });
  return tag === undefined ? undefined : yield* purgedReference(repo, { kind: 'tag', tag });
}

/** What was purged meanwhile does not come back. */
function* firstBlocked(repo: RepositoryName, digest: Digest, deleted: readonly Digest[]) {
  const digests = new Set([digest, ...deleted]);
  for (const manifest of deleted) {
    for (const blob of yield* all(heldBlobsOf, { repo, manifest })) digests.add(blob.digest);
  }
  return yield* first(blockedAmong, { digests: [...digests] });
}
