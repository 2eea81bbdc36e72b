import { all, change, first, type Operation } from '../../metadata/operation.ts';
import { manifestTimes } from '../../metadata/queries/holds.ts';
import { linkLease, visibleAmong } from '../../metadata/queries/links.ts';
import {
  attachAbsentChildEdges,
  liveManifestsAmong,
  upsertBlobEdge,
  upsertChildEdge,
  upsertManifest,
} from '../../metadata/queries/manifests.ts';
import { blockedAmong } from '../../metadata/queries/objects.ts';
import { releaseManifestFromQuarantine, releaseTagFromQuarantine } from '../../metadata/queries/purge-quarantine.ts';
import { releaseManifest } from '../../metadata/queries/removals.ts';
import { insertRepository } from '../../metadata/queries/repositories.ts';
import { insertTagTrash, markManifestTagged, tagTarget, upsertTag } from '../../metadata/queries/tags.ts';
import type { Begun } from '../../metadata/store.ts';
import { algorithmOf, type Digest, digestOf } from '../../oci/digest.ts';
import { type Manifest, parseManifest } from '../../oci/manifest.ts';
import { orderOfKeys } from '../order-of-keys.ts';
import type { RepositoryName, TagName } from '../../oci/names.ts';
import type { Reference } from '../../oci/reference.ts';
import { subjectOfTag } from '../../oci/tags-about.ts';
import { type Actor, anyClient } from '../actor.ts';
import { recordEvent } from '../events.ts';
import { type Immutability, type ImmutabilityRefusal, refusalOfTag } from '../immutability.ts';
import { pinOfTag, type PinRefusal } from '../pin.ts';
import { keepsHistory, rememberManifest, rememberTag, type TagBefore } from '../history.ts';
import { failedPrecondition, type Precondition, type PreconditionFailure } from '../precondition.ts';
import { type Purged, purgedBy } from '../purges/purged.ts';
import { admitTags } from '../quota-usage.ts';
import type { OverQuota, QuotasInForce, QuotaWarning } from '../quotas.ts';
import type { Registry, SparsePolicy } from '../registry.ts';
import { type RepositoryChange, type RetentionScope, reviewRepository } from '../retention-review.ts';
import { reviewLink, reviewManifest } from '../review.ts';

/** The event of a push with many tags names some of them: each that is new or moved has an event of its own. */
const longestReason = 1000;

export interface PutManifestRequest {
  readonly repo: RepositoryName;
  /** What the client calls it; the bytes must agree with a digest. */
  readonly reference: Reference;
  /** All that it gets, one in the reference included. */
  readonly tags: readonly TagName[];
  /** On what the reference leads to, whatever other tags there are. */
  readonly precondition: Precondition;
  readonly bytes: Uint8Array;
  readonly contentType: string | undefined;
  /** Whether tags that are there may be led to something else; they may where it is not given. */
  readonly mayOverwrite?: boolean;
  readonly actor?: Actor;
}

export type PutManifestOutcome =
  | {
      readonly outcome: 'created';
      readonly digest: Digest;
      readonly subject: Digest | undefined;
      readonly warnings: readonly QuotaWarning[];
    }
  | { readonly outcome: 'over-quota'; readonly over: OverQuota }
  | { readonly outcome: 'invalid'; readonly message: string; readonly detail: Readonly<Record<string, unknown>> }
  | { readonly outcome: 'digest-mismatch'; readonly actual: Digest }
  | { readonly outcome: 'missing'; readonly blobs: readonly Digest[]; readonly manifests: readonly Digest[] }
  | { readonly outcome: 'blocked'; readonly purged: Purged }
  | { readonly outcome: 'overwrite-denied'; readonly tag: TagName }
  | PinRefusal
  | ImmutabilityRefusal
  | PreconditionFailure;

/**
 * T_put: stores a manifest byte for byte as it came, with all its edges and its tags, in one transaction that also
 * checks that everything it needs is there (R2, R13, R19, R20).
 */
export async function putManifest(registry: Registry, request: PutManifestRequest): Promise<PutManifestOutcome> {
  registry.traffic.pushed(request.bytes.byteLength);
  const expected = request.reference.kind === 'digest' ? request.reference.digest : undefined;
  const actual = digestOf(expected === undefined ? 'sha256' : algorithmOf(expected), request.bytes);
  if (expected !== undefined && expected !== actual) return { outcome: 'digest-mismatch', actual };
  const parsed = parseManifest(request.bytes, request.contentType);
  if (!parsed.ok) return { outcome: 'invalid', message: parsed.message, detail: parsed.detail };
  const now = registry.clock.now();
  return await registry.metadata.write((begun) =>
    put({
      ...request,
      digest: actual,
      manifest: parsed.manifest,
      sparse: registry.sparse,
      retention: registry.retention,
      quotas: registry.quotas,
      begun,
      immutability: registry.immutability,
      now,
      leaseUntil: now + registry.windows.leaseMs,
      trashUntil: now + registry.windows.trashMs,
      keepsHistory: keepsHistory(registry.windows),
    }),
  );
}

interface Put extends PutManifestRequest {
  readonly digest: Digest;
  readonly manifest: Manifest;
  readonly sparse: SparsePolicy;
  readonly retention: RetentionScope;
  readonly quotas: QuotasInForce;
  readonly begun: Begun;
  readonly immutability: Immutability;
  readonly now: number;
  readonly leaseUntil: number;
  readonly trashUntil: number;
  readonly keepsHistory: boolean;
}

function* put(request: Put): Operation<PutManifestOutcome> {
  const { repo, digest, manifest, now, leaseUntil } = request;
  const referenced = [...manifest.blobs, ...manifest.children].map((reference) => reference.digest);
  const embedded = manifest.embeddedSubject === undefined ? [] : [manifest.embeddedSubject];
  const blocked = yield* first(blockedAmong, { digests: [digest, ...referenced, ...embedded] });
  if (blocked !== undefined) return { outcome: 'blocked', purged: purgedBy(blocked) };

  const edges = yield* resolveEdges(request);
  if (edges.missingBlobs.length > 0 || edges.missingManifests.length > 0) {
    return { outcome: 'missing', blobs: edges.missingBlobs, manifests: edges.missingManifests };
  }
  const tagsBefore = yield* readTags(request);
  const moved = movedTags(request, tagsBefore);
  const added = request.tags.filter((name) => !tagsBefore.has(name));
  const [firstMoved] = moved;
  if (request.mayOverwrite === false && firstMoved !== undefined) {
    return { outcome: 'overwrite-denied', tag: firstMoved.name };
  }
  for (const { name } of moved) {
    const pin = yield* pinOfTag(repo, name);
    if (pin !== undefined) return { outcome: 'pinned', pin };
    const immutable = refusalOfTag(request.immutability, repo, name);
    if (immutable !== undefined) return immutable;
  }
  // Last of the refusals: a condition counts only where the push would succeed without it (RFC 9110, 13.2.1).
  const unmet = yield* failedPrecondition(repo, request.reference, request.precondition);
  if (unmet !== undefined) return unmet;
  const { actor = anyClient } = request;
  const quota = (yield* request.quotas.at(request.begun)).of(repo);
  const admission = yield* admitTags(quota, repo, added, { now, actor });
  if (admission.outcome === 'over-quota') return admission;

  yield* remember(request, tagsBefore);
  yield* change(insertRepository, { repo, now });
  // Manifests, then links, then tags, each in the order of their keys: two pushes do not wait for each other in turn (ADR 27).
  const replaced = [...new Set(moved.map(({ manifest: before }) => before))].toSorted();
  for (const each of replaced)
    if (each < digest) yield* change(releaseManifest, { repo, digest: each, now, leaseUntil });
  yield* change(upsertManifest, {
    repo,
    digest,
    mediaType: manifest.mediaType,
    kind: manifest.kind,
    artifactType: manifest.artifactType ?? null,
    annotations:
      manifest.subject === undefined || manifest.annotations === undefined
        ? null
        : JSON.stringify(manifest.annotations),
    subject: manifest.subject?.digest ?? null,
    leaseUntil,
    now,
    size: request.bytes.byteLength,
    bytes: request.bytes,
  });
  for (const each of replaced)
    if (each > digest) yield* change(releaseManifest, { repo, digest: each, now, leaseUntil });
  yield* change(releaseManifestFromQuarantine, { repo, digest });
  const [children, blobs] = [edges.children.toSorted(byChild), edges.blobs.toSorted(byDigest)];
  for (const edge of children) yield* change(upsertChildEdge, { repo, parent: digest, ...edge });
  for (const edge of blobs) yield* change(upsertBlobEdge, { repo, manifest: digest, ...edge });
  yield* change(attachAbsentChildEdges, { repo, child: digest });

  for (const name of request.tags.toSorted()) {
    yield* change(upsertTag, { repo, name, manifest: digest, now });
    if (!tagsBefore.has(name)) yield* change(releaseTagFromQuarantine, { repo, tag: name });
  }
  for (const { name, manifest: before } of moved.toSorted(byName)) {
    yield* change(insertTagTrash, { repo, name, manifest: before, now, purgeAfter: request.trashUntil });
    const reason = `it was pushed again, as ${digest}`;
    yield* recordEvent({ at: now, kind: 'tag.moved', repo, digest: before, tag: name, actor, reason });
  }
  yield* recordPush(request, added, actor);
  if (request.tags.length > 0) yield* change(markManifestTagged, { repo, digest, now });

  for (const each of [digest, ...replaced].toSorted()) {
    yield* reviewManifest(repo, each, each === digest ? leaseUntil : request.trashUntil);
  }
  for (const { digest: blob, linkDigest } of blobs) {
    // One that a client deleted while the manifest was in the trash: until now the manifest has held it.
    const isHidden = linkDigest === null && (yield* first(linkLease, { repo, digest: blob })) !== undefined;
    if (isHidden) yield* reviewLink(repo, blob, now);
  }
  yield* reviewRepository(request.retention, repo, changeBy(request, moved), now);
  return { outcome: 'created', digest, subject: manifest.subject?.digest, warnings: admission.warnings };
}

const byDigest = (a: { readonly digest: Digest }, b: { readonly digest: Digest }) => orderOfKeys(a.digest, b.digest);
const byChild = (a: { readonly child: Digest }, b: { readonly child: Digest }) => orderOfKeys(a.child, b.child);
const byName = (a: MovedTag, b: MovedTag) => orderOfKeys(a.name, b.name);

/** A push has one event, and one more for each tag that is new; one for each that was moved is there already. */
function* recordPush(
  { repo, digest, tags, bytes, now: at }: Put,
  added: readonly TagName[],
  actor: Actor,
): Operation<void> {
  const reason = tags.length === 0 ? undefined : `with the tags ${tags.join(', ')}`.slice(0, longestReason);
  const about = { at, repo, digest, actor };
  yield* recordEvent({ ...about, kind: 'manifest.pushed', bytes: bytes.byteLength, ...(reason && { reason }) });
  for (const tag of added) yield* recordEvent({ ...about, kind: 'tag.pushed', tag });
}

/** What is about a manifest may be its signature, for which a policy may keep it. */
function changeBy({ repo, manifest, tags, retention }: Put, moved: readonly MovedTag[]): RepositoryChange {
  const isAbout = manifest.subject !== undefined || tags.some((tag) => subjectOfTag(tag) !== undefined);
  return isAbout || (moved.length > 0 && retention.heedsMoves(repo)) ? 'narrowed' : 'grown';
}

interface MovedTag {
  readonly name: TagName;
  /** Where it led before. */
  readonly manifest: Digest;
}

/** What those tags of a push were that are there already. */
function* readTags({ repo, tags }: Put): Operation<ReadonlyMap<TagName, TagBefore>> {
  const before = new Map<TagName, TagBefore>();
  for (const name of tags) {
    const row = yield* first(tagTarget, { repo, name });
    if (row !== undefined) before.set(name, row);
  }
  return before;
}

/** The tags of a push that lead to something else now. */
function movedTags({ digest, tags }: Put, before: ReadonlyMap<TagName, TagBefore>): readonly MovedTag[] {
  return tags.flatMap((name) => {
    const manifest = before.get(name)?.manifest;
    return manifest === undefined || manifest === digest ? [] : [{ name, manifest }];
  });
}

/** For a replay of retention: what is pushed, and what was there before. */
function* remember(request: Put, tagsBefore: ReadonlyMap<TagName, TagBefore>): Operation<void> {
  if (!request.keepsHistory) return;
  const { repo, digest, tags, now: at } = request;
  for (const tag of tags) yield* rememberTag({ at, repo, digest }, tag, tagsBefore.get(tag));
  if (tags.length > 0) return;
  yield* rememberManifest({ at, repo, digest }, yield* first(manifestTimes, { repo, digest }));
}

interface Edges {
  readonly blobs: { readonly digest: Digest; readonly size: number; readonly linkDigest: Digest | null }[];
  readonly children: { readonly child: Digest; readonly presentChild: Digest | null }[];
  readonly missingBlobs: Digest[];
  readonly missingManifests: Digest[];
}

/**
 * What a manifest refers to, and whether it is here. An index usually lists manifests, but a build cache may list layers
 * in one, and no media type tells for sure which: an entry that is not here as a manifest is an edge of both kinds, so
 * that the index holds it as whatever it comes (R20).
 */
function* resolveEdges({ repo, manifest, sparse }: Put): Operation<Edges> {
  const children = manifest.children.map((reference) => reference.digest);
  const liveChildren = digestsOf(
    children.length === 0 ? [] : yield* all(liveManifestsAmong, { repo, digests: children }),
  );
  const candidates = [...manifest.blobs.map((blob) => blob.digest), ...children];
  const visibleBlobs = sizesOf(candidates.length === 0 ? [] : yield* all(visibleAmong, { repo, digests: candidates }));
  const edges: Edges = { blobs: [], children: [], missingBlobs: [], missingManifests: [] };
  const mayLack = manifest.kind === 'image' ? sparse.images : sparse.indexes;

  for (const { digest, sizeBytes, required } of manifest.blobs) {
    const present = visibleBlobs.has(digest);
    if (!present && required && !mayLack) edges.missingBlobs.push(digest);
    edges.blobs.push({ digest, size: visibleBlobs.get(digest) ?? sizeBytes, linkDigest: present ? digest : null });
  }
  for (const { digest, sizeBytes } of manifest.children) {
    const isManifest = liveChildren.has(digest);
    edges.children.push({ child: digest, presentChild: isManifest ? digest : null });
    if (isManifest) continue;
    const isBlob = visibleBlobs.has(digest);
    edges.blobs.push({ digest, size: visibleBlobs.get(digest) ?? sizeBytes, linkDigest: isBlob ? digest : null });
    if (!isBlob && !mayLack) edges.missingManifests.push(digest);
  }
  return edges;
}

interface SizeRow {
  readonly digest: Digest;
  readonly size_bytes: number | null;
}

function sizesOf(rows: readonly SizeRow[]): ReadonlyMap<Digest, number | null> {
  return new Map(rows.map((row) => [row.digest, row.size_bytes]));
}

function digestsOf(rows: readonly { readonly digest: Digest }[]): ReadonlySet<Digest> {
  return new Set(rows.map((row) => row.digest));
}
