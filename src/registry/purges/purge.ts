import { all, change, first, type Operation } from '../../metadata/operation.ts';
import { noteChildren, noteReferrers, noteTagsAbout } from '../../metadata/queries/purge-consequences.ts';
import {
  placeIndexesLacking,
  placeLinks,
  placeManifest,
  placeManifestsOfBlob,
  placeObjects,
  placeParents,
  placeParentsLacking,
  placeTags,
  placeTrashedTags,
  placeUpload,
  referrersOfPlaces,
} from '../../metadata/queries/purge-places.ts';
import { objectsLeftOf } from '../../metadata/queries/purged-places.ts';
import { blockDigest, insertPurge, insertPurgeDigest } from '../../metadata/queries/purges.ts';
import { uploadTimes } from '../../metadata/queries/uploads.ts';
import type { Begun } from '../../metadata/store.ts';
import { deleteTask } from '../../metadata/queries/tasks.ts';
import type { Digest } from '../../oci/digest.ts';
import { suffixesOfTagsAbout } from '../../oci/tags-about.ts';
import type { Target } from '../../oci/target.ts';
import type { Actor } from '../actor.ts';
import { embeddingAmong, manifestsEmbedding } from '../manifests/embedding.ts';
import { recordEvent } from '../events.ts';
import { repositoriesWithManifest } from '../manifests/places.ts';
import { contentsOfImages } from './images.ts';
import { takeAwayPlaces } from './removal.ts';
import type { Registry } from '../registry.ts';
import { reviewObject } from '../review.ts';
import { markDropped } from '../uploads/drop.ts';
import { isSame } from '../uploads/sessions.ts';

/** When the review queue looks at the object of a purge, should the purge itself not come to an end, in ms. */
const objectReviewMs = 60_000;

export interface PurgeRequest {
  readonly digests: readonly Digest[];
  /** Images that are purged with everything that nothing else needs. */
  readonly images: readonly Target[];
  /** Also what something else needs. */
  readonly withShared: boolean;
  readonly reason: string;
  /** Whether bytes are overwritten before they are removed, where that means anything. */
  readonly isShredding: boolean;
  readonly actor: Actor;
}

export type PurgeOutcome =
  | { readonly outcome: 'purged'; readonly purge: number }
  /** Nothing was changed. */
  | { readonly outcome: 'unknown-image'; readonly target: Target }
  | { readonly outcome: 'nothing-named' };

/**
 * Removes contents from everywhere at once, without any window, and keeps them out from here on (I11, R47): T_purge, which
 * makes it effective, and then the removal of the bytes. Resolves when that is done; where it cannot be done yet, the
 * purge is effective all the same, and it is tried again.
 */
export async function purge(registry: Registry, request: PurgeRequest): Promise<PurgeOutcome> {
  await registry.purges.join();
  const outcome = await registry.metadata.write((begun) => beginPurge(registry, request, begun), { fromReserve: true });
  if (outcome.outcome === 'purged') await registry.purges.finish(outcome.purge);
  return outcome;
}

/**
 * T_purge. One transaction: the digests are kept out; their objects are dead, and their links gone; the manifests that
 * need them, and the indexes above those, go with their tags, and whoever pulls one is told why. What was found where is
 * written down by the statements that find it.
 */
function* beginPurge(registry: Registry, request: PurgeRequest, begun: Begun): Operation<PurgeOutcome> {
  const named = yield* digestsOf(request);
  if ('outcome' in named) return named;
  if (named.length === 0) return { outcome: 'nothing-named' };
  const { reason, actor, isShredding } = request;
  const now = registry.clock.now();
  const finisher = yield* registry.purges.finisher();
  const row = yield* first(insertPurge, {
    at: now,
    actor: actor.text,
    reason,
    shredding: isShredding ? 1 : 0,
    finisher,
  });
  if (row === undefined) throw new Error('the record of a purge got no number');
  const { id } = row;
  yield* dropUploadsHolding(registry, id, { digests: new Set(named), now });
  for (const digest of named) {
    yield* change(insertPurgeDigest, { purge: id, digest });
    yield* change(blockDigest, { digest, at: now, reason });
    yield* change(placeObjects, { purge: id, digest });
    yield* change(placeLinks, { purge: id, digest });
    yield* change(placeManifestsOfBlob, { purge: id, digest });
    yield* change(placeIndexesLacking, { purge: id, digest });
    for (const repo of yield* repositoriesWithManifest(digest)) {
      yield* change(placeManifest, { purge: id, repo, digest });
    }
    for (const each of yield* manifestsEmbedding(digest)) yield* change(placeManifest, { purge: id, ...each });
  }
  const looked = new Set<string>();
  for (let found = 1; found > 0;) {
    found = (yield* change(placeParents, { purge: id })) + (yield* change(placeParentsLacking, { purge: id }));
    const others = (yield* all(referrersOfPlaces, { purge: id })).filter(
      ({ repo, digest }) => !looked.has(`${repo}@${digest}`),
    );
    for (const { repo, digest } of others) looked.add(`${repo}@${digest}`);
    for (const each of yield* embeddingAmong(others)) found += yield* change(placeManifest, { purge: id, ...each });
  }
  yield* change(placeTags, { purge: id });
  yield* change(placeTrashedTags, { purge: id });
  yield* change(noteChildren, { purge: id });
  yield* change(noteReferrers, { purge: id });
  for (const suffix of suffixesOfTagsAbout) yield* change(noteTagsAbout, { purge: id, suffix });

  yield* takeAwayPlaces(registry, { id, digests: named, begun, actor, now, reason: `purge ${id}: ${reason}` });

  for (const digest of named) {
    yield* recordEvent({ at: now, kind: 'purged', digest, actor, reason: `${reason} (purge ${id})` });
  }
  const oids = (yield* all(objectsLeftOf, { purge: id })).map(({ oid }) => oid);
  for (const oid of oids.toSorted()) {
    // The collector would unlink it without breaking off those who read it.
    yield* change(deleteTask, { kind: 'object', key1: oid, key2: '' });
    yield* reviewObject(oid, now + objectReviewMs);
  }
  return { outcome: 'purged', purge: id };
}

/** Uploads under way whose bytes so far are what is purged go at once; the others are compared when they end. */
function* dropUploadsHolding(
  { sessions }: Registry,
  number: number,
  { digests, now }: { readonly digests: ReadonlySet<Digest>; readonly now: number },
): Operation<void> {
  for (const { id, left, digest } of sessions.holding(digests)) {
    const upload = yield* first(uploadTimes, { id });
    if (upload === undefined || upload.oid === null) continue;
    const { oid, repo, epoch, incarnation, offset_bytes: offsetBytes } = upload;
    // Another writer may have gone on with it.
    if (!isSame(left, { epoch, incarnation, offsetBytes })) continue;
    yield* change(placeUpload, { purge: number, repo, digest, id, size: offsetBytes });
    yield* markDropped(id, { oid, digest }, now);
  }
}

function* digestsOf({ digests, images, withShared }: PurgeRequest): Operation<readonly Digest[] | PurgeOutcome> {
  const wanted = new Set(digests);
  if (images.length > 0) {
    const found = yield* contentsOfImages({ images, digests, withShared });
    if (found.outcome === 'unknown') return { outcome: 'unknown-image', target: found.target };
    for (const { digest, isTaken } of found.contents) if (isTaken) wanted.add(digest);
  }
  return [...wanted].toSorted();
}
