import { all, change, first, type Operation } from '../metadata/operation.ts';
import { manifestTimes } from '../metadata/queries/holds.ts';
import {
  allReferrersOf,
  deleteBlobEdgesOf,
  deleteChildEdgesOf,
  deleteManifest,
  deleteTrashedTag,
  heldBlobsOf,
  presentChildrenOf,
  releaseManifest,
  trashedTagsOf,
} from '../metadata/queries/removals.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import { collectorActor } from '../registry/actor.ts';
import { recordEvent } from '../registry/events.ts';
import { keepsHistory, type ManifestBefore, rememberRemains } from '../registry/history.ts';
import { removeTagsAbout } from '../registry/remove-tags-about.ts';
import { reviewLink, reviewManifest as enqueueManifest } from '../registry/review.ts';
import { forgetIfEmpty } from '../registry/forget-repository.ts';
import { type ReviewTime, searchHold } from './hold.ts';
import { done, type ReviewOutcome, reviewAgainAt } from './review.ts';

/**
 * T_review(manifest): keeps a manifest that something holds, now or for a time; else takes it away with its edges, in one
 * transaction with the reviews of all that it held. A manifest that an index lists, which nothing holds either, waits
 * for the index to go first: containers go before what they contain (I5).
 */
export function* reviewManifest(repo: RepositoryName, digest: Digest, time: ReviewTime): Operation<ReviewOutcome> {
  const row = yield* first(manifestTimes, { repo, digest });
  if (row === undefined) return done;
  const trashedTagsUntil = yield* forgetTrashedTags(repo, digest, time.now);
  const { until, visited, isListed } = yield* searchHold(repo, digest, time);
  if (until === Infinity) return trashedTagsUntil === undefined ? done : reviewAgainAt(trashedTagsUntil);
  if (until !== undefined) return reviewAgainAt(until);
  if (isListed) {
    for (const each of visited) if (each !== digest) yield* enqueueManifest(repo, each, time.now);
    return done;
  }
  yield* recordEvent({
    at: time.now,
    kind: 'manifest.collected',
    repo,
    digest,
    actor: collectorActor,
    reason: reasonOf(row),
    bytes: row.size_bytes,
  });
  yield* remove(repo, row, { digest, time });
  return { ...done, collected: { manifests: 1, manifestBytes: row.size_bytes } };
}

interface ManifestPast {
  readonly state: 'live' | 'trashed';
  readonly tagged_at: number | null;
  readonly released_at: number | null;
}

function reasonOf({ state, tagged_at, released_at }: ManifestPast): string {
  if (state === 'trashed') return 'it was deleted, and its time in the trash is over';
  if (released_at !== null) return `nothing holds it since ${new Date(released_at).toISOString()}`;
  return tagged_at === null ? 'it never had a tag, and nobody used it for long' : 'nothing holds it';
}

/**
 * Tags whose time in the trash is over keep nothing any more, also where something else keeps the manifest.
 *
 * @returns when the time of the next one is over; undefined where none is left
 */
function* forgetTrashedTags(repo: RepositoryName, manifest: Digest, now: number): Operation<number | undefined> {
  let next: number | undefined;
  for (const { name, purge_after } of yield* all(trashedTagsOf, { repo, manifest })) {
    if (purge_after <= now) yield* change(deleteTrashedTag, { repo, name, manifest });
    else next = Math.min(next ?? Infinity, purge_after);
  }
  return next;
}

interface Removing {
  readonly digest: Digest;
  readonly time: ReviewTime;
}

interface ManifestRow extends ManifestBefore {
  readonly media_type: string;
  readonly artifact_type: string | null;
  readonly subject: Digest | null;
}

function* remove(repo: RepositoryName, row: ManifestRow, { digest, time }: Removing): Operation<void> {
  const { now, windows } = time;
  const blobs = yield* all(heldBlobsOf, { repo, manifest: digest });
  const children = yield* all(presentChildrenOf, { repo, parent: digest });
  const referrers = yield* all(allReferrersOf, { repo, subject: digest });
  if (keepsHistory(windows)) {
    yield* rememberRemains({ at: now, repo, digest }, row, {
      mediaType: row.media_type,
      ...(row.artifact_type !== null && { artifactType: row.artifact_type }),
      ...(row.subject !== null && { subject: row.subject }),
      children: children.map(({ child }) => child),
      blobs: blobs.map((blob) => [blob.digest, blob.size_bytes]),
    });
  }
  yield* change(deleteBlobEdgesOf, { repo, manifest: digest });
  yield* change(deleteChildEdgesOf, { repo, parent: digest });
  yield* change(deleteManifest, { repo, digest });
  yield* forgetIfEmpty(repo, now);
  const about = yield* removeTagsAbout(repo, digest, time);
  const loose = [...children.map(({ child }) => child), ...referrers.map((referrer) => referrer.digest), ...about];
  const freed = [...new Set(loose)].toSorted();
  const leaseUntil = now + windows.leaseMs;
  for (const each of freed) yield* change(releaseManifest, { repo, digest: each, now, leaseUntil });
  for (const each of freed) yield* enqueueManifest(repo, each, now);
  for (const blob of blobs) yield* reviewLink(repo, blob.digest, now);
  // Where the manifest held no blob, no link's review will see to it.
  yield* forgetIfEmpty(repo, now);
}
