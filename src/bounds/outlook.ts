import { all, first, type Operation } from '../metadata/operation.ts';
import { anyManifestOfBlob, latestTrashedTagOf, manifestTimes } from '../metadata/queries/holds.ts';
import { liveObject, objectState } from '../metadata/queries/objects.ts';
import { reviewsDueBy } from '../metadata/queries/outlook.ts';
import { heldBlobsOf } from '../metadata/queries/removals.ts';
import { uploadTimes } from '../metadata/queries/uploads.ts';
import { type Digest, parseDigest } from '../oci/digest.ts';
import { parseRepositoryName, type RepositoryName } from '../oci/names.ts';
import type { Registry } from '../registry/registry.ts';
import { oldestAt, trashByAge, type TrashPosition } from '../registry/trash/by-age.ts';
import { below } from '../usage/released.ts';
import { Standings } from '../usage/standing.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** What one read looks at, so that no request waits long. */
const perStep = 50;
/** What is looked at in all: beyond that, the figures are of what comes first. */
const most = 10_000;

/** What is to be given back to the disk, at most: something else may keep it until then. */
export interface Outlook {
  readonly withinHourBytes: number;
  readonly withinDayBytes: number;
  /** There is more to come within a day than was looked at. */
  readonly isPartial: boolean;
}

/** Looks at the reviews that are due within a day, and at what would go if nothing else were to keep it. */
export async function outlookOf({ metadata, clock, windows }: Registry): Promise<Outlook> {
  const now = clock.now();
  const going = new Going();
  let after = { after: -1, kind: '', key1: '', key2: '' };
  let isPartial = true;
  for (let looked = 0; isPartial && looked < most; looked += perStep) {
    const reviews = await metadata.read(function* step() {
      const rows = yield* all(reviewsDueBy, { by: now + dayMs, ...after, limit: perStep });
      for (const review of rows) yield* going.add(review, { now, uploadMs: windows.uploadMs });
      return rows;
    });
    const last = reviews.at(-1);
    if (last !== undefined) after = { after: last.due_at, kind: last.kind, key1: last.key1, key2: last.key2 };
    isPartial = reviews.length === perStep;
    await new Promise(setImmediate);
  }
  const { hour, day } = going.bytes;
  return { withinHourBytes: hour, withinDayBytes: hour + day, isPartial };
}

/** What lies in the trash. */
export interface TrashFigures {
  readonly manifests: number;
  readonly tags: number;
  /** What emptying it would free, at most: leases may keep some of it for a while. */
  readonly bytes: number;
  /** There is more in it than was looked at. */
  readonly isPartial: boolean;
}

export async function trashFigures({ metadata, clock }: Registry): Promise<TrashFigures> {
  const going = new Going();
  const found = { manifests: 0, tags: 0 };
  let position: TrashPosition | undefined = oldestAt(clock.now());
  for (let looked = 0; looked < most && position !== undefined; looked += perStep) {
    const at: TrashPosition = position;
    position = await metadata.read(function* step() {
      const page = yield* trashByAge(at, perStep);
      for (const { entry } of page.entries) {
        if (entry.kind === 'tag') found.tags++;
        else found.manifests++;
        yield* going.addManifest(entry.repo, entry.digest, 'hour');
      }
      return page.next;
    });
    await new Promise(setImmediate);
  }
  return { ...found, bytes: going.bytes.hour, isPartial: position !== undefined };
}

interface DueReview {
  readonly kind: string;
  readonly key1: string;
  readonly key2: string;
  /** In ms since 1970; it may well find that something goes on. */
  readonly due_at: number;
}

/** Within which time something goes. */
type Within = 'hour' | 'day';

/** Adds up what goes, each blob once. */
class Going {
  readonly #standings = new Standings();
  readonly #manifests = new Set<string>();
  readonly #blobs = new Set<Digest>();
  readonly bytes = { hour: 0, day: 0 };

  *add(review: DueReview, { now, uploadMs }: { readonly now: number; readonly uploadMs: number }): Operation<void> {
    const { kind, key1, due_at: dueAt } = review;
    const within = (end: number): Within | undefined => {
      if (end > now + dayMs) return undefined;
      return end > now + hourMs ? 'day' : 'hour';
    };
    if (kind === 'object') {
      const object = yield* first(objectState, { oid: key1 });
      const isLeaving = object?.state === 'condemned' || object?.state === 'dead';
      const end = within(dueAt);
      if (isLeaving && end !== undefined) this.bytes[end] += object.size_bytes;
    } else if (kind === 'upload') {
      const upload = yield* first(uploadTimes, { id: key1 });
      if (upload === undefined || upload.oid === null) return;
      const end = within(upload.touched_at + uploadMs);
      if (end !== undefined) this.bytes[end] += upload.offset_bytes;
    } else {
      yield* this.#addReviewed(review, within);
    }
  }

  *#addReviewed(
    { kind, key1, key2, due_at: dueAt }: DueReview,
    within: (end: number) => Within | undefined,
  ): Operation<void> {
    const repo = parseRepositoryName(key1);
    const digest = parseDigest(key2);
    if (repo === undefined || digest === undefined) return;
    if (kind === 'link') {
      const end = within(dueAt);
      if (end === undefined || (yield* first(anyManifestOfBlob, { repo, digest })) !== undefined) return;
      return yield* this.#addBlob(digest, end);
    }
    // The review of what is in the trash may come before its time there is over.
    const row = yield* first(manifestTimes, { repo, digest });
    const trashedTag = yield* first(latestTrashedTagOf, { repo, manifest: digest });
    const end = within(Math.max(dueAt, row?.trash_until ?? 0, trashedTag?.purge_after ?? 0));
    if (end !== undefined) yield* this.addManifest(repo, digest, end);
  }

  *addManifest(repo: RepositoryName, digest: Digest, within: Within): Operation<void> {
    if (yield* this.#standings.isHeld(repo, digest)) return;
    for (const manifest of yield* below(repo, digest)) {
      const key = `${repo}@${manifest}`;
      if (this.#manifests.has(key)) continue;
      this.#manifests.add(key);
      for (const blob of yield* all(heldBlobsOf, { repo, manifest })) yield* this.#addBlob(blob.digest, within);
    }
  }

  *#addBlob(digest: Digest, within: Within): Operation<void> {
    if (this.#blobs.has(digest)) return;
    this.#blobs.add(digest);
    if (yield* this.#standings.isBlobHeld(digest)) return;
    this.bytes[within] += (yield* first(liveObject, { digest }))?.size_bytes ?? 0;
  }
}
