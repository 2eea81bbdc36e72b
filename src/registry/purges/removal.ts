import { all, change, type Operation } from '../../metadata/operation.ts';
import { loosenedManifests, subjectsOfTagsAbout } from '../../metadata/queries/purge-consequences.ts';
import {
  blobsOfPurge,
  childrenOfPurge,
  deleteBlobEdgesOfPurge,
  deleteChildEdgesOfPurge,
  deleteLinksOfDigest,
  deleteManifestsOfPurge,
  deleteReviewsOfPurge,
  deleteTagsOfPurge,
  deleteTrashedTagsOfPurge,
  killLeavingObjects,
  killLiveObject,
  deleteUploadsOfDigest,
  linksOfPurge,
  manifestsOfPurge,
  pinsOfPurge,
  recordPlaceEvents,
  rememberTagsOfPurge,
  reviewLinksOfPurge,
  tagsOfPurge,
} from '../../metadata/queries/purge-removals.ts';
import { deletePin } from '../../metadata/queries/pins.ts';
import { releaseManifest } from '../../metadata/queries/removals.ts';
import type { Begun } from '../../metadata/store.ts';
import { type Digest, parseDigest } from '../../oci/digest.ts';
import { parseTagName, type RepositoryName, type TagName } from '../../oci/names.ts';
import type { Actor } from '../actor.ts';
import { recordEvent } from '../events.ts';
import { forgetIfEmpty } from '../forget-repository.ts';
import { keepsHistory, type ManifestBefore, rememberRemains } from '../history.ts';
import { uncountLink, uncountTags } from '../quota-usage.ts';
import type { Registry } from '../registry.ts';
import { removeTagsAbout } from '../remove-tags-about.ts';
import { reviewRepository } from '../retention-review.ts';
import { reviewManifest } from '../review.ts';

interface Removal {
  /** The purge. */
  readonly id: number;
  readonly digests: readonly Digest[];
  /** What its transaction has seen as it began. */
  readonly begun: Begun;
  readonly actor: Actor;
  readonly now: number;
  readonly reason: string;
}

interface Place {
  readonly repo: RepositoryName;
  readonly digest: Digest;
}

interface GoneManifest extends ManifestBefore, Place {
  readonly media_type: string;
  readonly artifact_type: string | null;
  readonly subject: Digest | null;
}

/**
 * The part of T_purge that takes its places away. What the images needed beside, what their indexes listed and what
 * refers to them goes by the review queue, where nothing else holds it.
 */
export function* takeAwayPlaces(
  registry: Registry,
  { id, digests, begun, actor, now, reason }: Removal,
): Operation<void> {
  const { immutability, retention, windows } = registry;
  const quotas = yield* registry.quotas.at(begun);
  const manifests = yield* all(manifestsOfPurge, { purge: id });
  const tags = yield* all(tagsOfPurge, { purge: id });
  const links = yield* all(linksOfPurge, { purge: id });
  const children = yield* all(childrenOfPurge, { purge: id });
  const released = yield* all(loosenedManifests, { purge: id });
  if (keepsHistory(windows)) {
    yield* change(rememberTagsOfPurge, { purge: id, at: now });
    yield* rememberAll(manifests, { blobs: yield* all(blobsOfPurge, { purge: id }), children, now });
  }
  const { text, ...who } = actor;
  const about = { purge: id, at: now, actor: text, reason, ...who };
  yield* change(recordPlaceEvents, { ...about, place: 'tag', kind: 'tag.purged' });
  yield* change(recordPlaceEvents, { ...about, place: 'manifest', kind: 'manifest.purged' });
  yield* change(recordPlaceEvents, { ...about, place: 'link', kind: 'link.purged' });
  yield* change(reviewLinksOfPurge, { purge: id, now });
  yield* change(deleteReviewsOfPurge, { purge: id });

  yield* removePins(id, { actor, now, reason });
  yield* change(deleteTagsOfPurge, { purge: id });
  yield* change(deleteTrashedTagsOfPurge, { purge: id });
  yield* change(deleteBlobEdgesOfPurge, { purge: id });
  yield* change(deleteChildEdgesOfPurge, { purge: id });
  yield* change(deleteManifestsOfPurge, { purge: id });
  for (const digest of digests) {
    yield* change(deleteLinksOfDigest, { digest });
    yield* change(deleteUploadsOfDigest, { digest });
    yield* change(killLiveObject, { digest });
    yield* change(killLeavingObjects, { digest });
  }
  for (const { repo, digest } of links) {
    if (repo !== '' && digest !== '') yield* uncountLink(quotas.of(repo), repo, digest);
  }
  for (const [repo, ofRepository] of Map.groupBy(tags, (tag) => tag.repo)) {
    yield* uncountTags(
      quotas.of(repo),
      repo,
      ofRepository.map(({ name }): TagName => name),
    );
  }

  const freed = new Map<string, Place>(released.map((each) => [keyOf(each), each]));
  const subjects = (yield* all(subjectsOfTagsAbout, { purge: id })).map(({ repo, of_digest: digest }) => ({
    repo,
    digest,
  }));
  for (const { repo, digest } of new Map(subjects.map((each) => [keyOf(each), each])).values()) {
    for (const each of yield* removeTagsAbout(repo, digest, { now, windows, quotas, immutability })) {
      freed.set(keyOf({ repo, digest: each }), { repo, digest: each });
    }
  }
  for (const { repo, digest } of freed.values()) {
    yield* change(releaseManifest, { repo, digest, now, leaseUntil: now + windows.leaseMs });
    yield* reviewManifest(repo, digest, now);
  }
  for (const repo of new Set([...links, ...manifests].map((place) => place.repo))) {
    if (repo === '') continue;
    yield* reviewRepository(retention, repo, 'narrowed', now);
    yield* forgetIfEmpty(repo, now);
  }
}

/** Pins hold what is here: what is pushed in the place of it is to be pinned by whoever wants that. */
function* removePins(
  purge: number,
  { actor, now, reason }: Pick<Removal, 'actor' | 'now' | 'reason'>,
): Operation<void> {
  for (const { repo, kind, name } of yield* all(pinsOfPurge, { purge })) {
    yield* change(deletePin, { repo, kind, name });
    const tag = kind === 'tag' ? parseTagName(name) : undefined;
    const digest = kind === 'manifest' ? parseDigest(name) : undefined;
    const pinned = { ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) };
    yield* recordEvent({ at: now, kind: 'unpinned', repo, ...pinned, actor, reason });
  }
}

interface Contents {
  readonly blobs: readonly {
    readonly repo: RepositoryName;
    readonly manifest: Digest;
    readonly digest: Digest;
    readonly size_bytes: number;
  }[];
  readonly children: readonly { readonly repo: RepositoryName; readonly parent: Digest; readonly child: Digest }[];
  readonly now: number;
}

/** For a replay of retention, in which the manifests were there until now. */
function* rememberAll(manifests: readonly GoneManifest[], { blobs, children, now }: Contents): Operation<void> {
  const blobsOf = Map.groupBy(blobs, ({ repo, manifest }) => keyOf({ repo, digest: manifest }));
  const childrenOf = Map.groupBy(children, ({ repo, parent }) => keyOf({ repo, digest: parent }));
  for (const manifest of manifests) {
    const { repo, digest, media_type: mediaType, artifact_type: artifactType, subject } = manifest;
    const key = keyOf(manifest);
    yield* rememberRemains({ at: now, repo, digest }, manifest, {
      mediaType,
      ...(artifactType !== null && { artifactType }),
      ...(subject !== null && { subject }),
      children: (childrenOf.get(key) ?? []).map(({ child }) => child),
      blobs: (blobsOf.get(key) ?? []).map((blob) => [blob.digest, blob.size_bytes]),
    });
  }
}

function keyOf({ repo, digest }: Place): string {
  return `${repo}@${digest}`;
}
