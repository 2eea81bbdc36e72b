import type { BlobStore, ObjectId } from '../../blobs/store.ts';
import { all, change, first, type Operation } from '../../metadata/operation.ts';
import { placeUpload } from '../../metadata/queries/purge-places.ts';
import { uploadsUnderWayAfter } from '../../metadata/queries/purge-plan.ts';
import { uploadTimes } from '../../metadata/queries/uploads.ts';
import type { MetadataStore } from '../../metadata/store.ts';
import { algorithmOf, type Digest, DigestHasher } from '../../oci/digest.ts';
import type { Clock } from '../clock.ts';
import { markDropped } from '../uploads/drop.ts';

/** Uploads that one step reads. */
const uploadsPerStep = 200;

/** A content that is purged, and how long it is. */
export interface PurgedContent {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/**
 * Ends the uploads under way whose files are just what is purged: of those that an earlier process has begun, no running
 * hash tells it, and nobody may go on with them. Only files of the same length are read.
 *
 * @returns how many were ended; their objects are dead, and have the digest
 */
export async function dropWholeUploads(
  { metadata, blobs, clock }: { readonly metadata: MetadataStore; readonly blobs: BlobStore; readonly clock: Clock },
  purge: number,
  contents: readonly PurgedContent[],
): Promise<number> {
  if (contents.length === 0) return 0;
  let dropped = 0;
  for (let after = ''; ;) {
    const from = after;
    const page = await metadata.read(() => all(uploadsUnderWayAfter, { after: from, limit: uploadsPerStep }));
    for (const { id, oid } of page) {
      if (oid === null) continue;
      const sizeBytes = await blobs.size(oid);
      const alike = contents.filter((content) => content.sizeBytes === sizeBytes && sizeBytes > 0);
      if (alike.length === 0) continue;
      const before = await metadata.read(() => first(uploadTimes, { id }));
      const digest = await whichOf(blobs, oid, alike);
      if (digest === undefined || before === undefined) continue;
      const drop = function* dropIfUnchanged(): Operation<boolean> {
        const upload = yield* first(uploadTimes, { id });
        // Another writer may have gone on with it.
        if (upload?.oid !== oid || upload.epoch !== before.epoch) return false;
        yield* change(placeUpload, { purge, repo: upload.repo, digest, id, size: sizeBytes ?? 0 });
        yield* markDropped(id, { oid, digest }, clock.now());
        return true;
      };
      if (await metadata.write(drop, { fromReserve: true })) dropped++;
    }
    const last = page.at(-1)?.oid;
    if (last === undefined || last === null || page.length < uploadsPerStep) return dropped;
    after = last;
  }
}

/** Which of some contents a file is; undefined where it is none, or goes meanwhile. */
async function whichOf(
  blobs: BlobStore,
  oid: ObjectId,
  contents: readonly PurgedContent[],
): Promise<Digest | undefined> {
  const wanted = new Set(contents.map(({ digest }) => digest));
  const hashers = [...new Set([...wanted].map(algorithmOf))].map((algorithm) => new DigestHasher(algorithm));
  try {
    for await (const chunk of blobs.read(oid).stream()) for (const hasher of hashers) hasher.update(chunk);
  } catch {
    return undefined;
  }
  return hashers.map((hasher) => hasher.digest()).find((digest) => wanted.has(digest));
}
