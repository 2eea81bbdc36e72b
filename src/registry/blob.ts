import { BlobMissingError, type ByteRange, type ObjectId } from '../blobs/store.ts';
import { all, change, first, type Operation } from '../metadata/operation.ts';
import { hideLink, renewLinkLease, visibleBlob } from '../metadata/queries/links.ts';
import { visibleManifestsOfBlob } from '../metadata/queries/manifests.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import { type Actor, anyClient } from './actor.ts';
import { recordEvent } from './events.ts';
import { type Purged, purgedDigest } from './purges/purged.ts';
import { whereWritable } from './read-only.ts';
import type { Registry } from './registry.ts';
import { reviewLink } from './review.ts';

/** How many holders a refusal names at most. */
const namedHolders = 10;

export type FoundBlob =
  | {
      readonly outcome: 'found';
      readonly oid: ObjectId;
      readonly sizeBytes: number;
      /** In ms since 1970. */
      readonly leaseUntil: number;
    }
  | { readonly outcome: 'purged'; readonly purged: Purged }
  | { readonly outcome: 'unknown' };

/**
 * A blob that is visible in a repository, for a pull. Nothing is remembered between calls: what is visible is what is
 * committed now (I10, R9). A file that is missing or has the wrong size is reported and not served.
 *
 * @param isLookedAt whether the store is asked for it, even where that takes a while
 */
export async function findBlob(
  registry: Registry,
  repo: RepositoryName,
  digest: Digest,
  { isLookedAt = registry.blobs.isSizeCheap } = {},
): Promise<FoundBlob> {
  const row = await registry.metadata.read(() => first(visibleBlob, { repo, digest }));
  if (row === undefined) return await missingBlob(registry, digest);
  if (!isLookedAt) return foundBlob(row);
  const onDisk = await registry.blobs.size(row.oid);
  if (onDisk === row.size_bytes) return foundBlob(row);
  // The file may have gone with its row since the row was read (R46).
  const again = await registry.metadata.read(() => first(visibleBlob, { repo, digest }));
  if (again === undefined) return await missingBlob(registry, digest);
  if (again.oid !== row.oid) return foundBlob(again);
  registry.log.error(
    { repo, digest, oid: row.oid, expectedBytes: row.size_bytes, onDiskBytes: onDisk },
    'a blob is damaged in the store and is not served; pushing it again repairs it',
  );
  return { outcome: 'unknown' };
}

/**
 * The bytes of a blob that was found, to be sent. Where they are not there, it is looked why (I10): what has not gone with
 * its rows is damaged, which is reported.
 *
 * @throws BlobMissingError
 */
export async function openBlob(
  registry: Registry,
  { repo, digest }: { readonly repo: RepositoryName; readonly digest: Digest },
  { oid, sizeBytes }: { readonly oid: ObjectId; readonly sizeBytes: number },
  range?: ByteRange,
): Promise<Blob | ReadableStream<Uint8Array>> {
  try {
    return await registry.blobs.open(oid, sizeBytes, range);
  } catch (error) {
    if (!(error instanceof BlobMissingError)) throw error;
    const again = await findBlob(registry, repo, digest, { isLookedAt: true });
    if (again.outcome !== 'found' || again.oid === oid) throw error;
    // A copy has taken its place.
    return await registry.blobs.open(again.oid, again.sizeBytes, range);
  }
}

/** What was purged is kept out of every repository: whoever asks is told so, lest it be pushed again. */
async function missingBlob({ metadata }: Registry, digest: Digest): Promise<FoundBlob> {
  const purged = await metadata.read(() => purgedDigest(digest));
  return purged === undefined ? { outcome: 'unknown' } : { outcome: 'purged', purged };
}

interface VisibleBlob {
  readonly oid: ObjectId;
  readonly size_bytes: number;
  readonly lease_until: number;
}

function foundBlob({ oid, size_bytes, lease_until }: VisibleBlob): FoundBlob {
  return { outcome: 'found', oid, sizeBytes: size_bytes, leaseUntil: lease_until };
}

/**
 * T_head: whether a client that may push has to upload a blob. A yes renews the blob's lease before it is given, so
 * that the client may build on it (I7, R1).
 */
export async function headBlobForPush(registry: Registry, repo: RepositoryName, digest: Digest): Promise<FoundBlob> {
  // Who is told that it is here does not push it, and so would not repair it.
  const found = await findBlob(registry, repo, digest, { isLookedAt: true });
  if (found.outcome !== 'found') return found;
  const now = registry.clock.now();
  const { leaseMs } = registry.windows;
  if (found.leaseUntil >= now + leaseMs / 2) {
    await registry.metadata.durable();
    return found;
  }
  const renew = () => registry.metadata.write(() => renewLink(repo, digest, now + leaseMs), { fromReserve: true });
  return (await whereWritable(renew, true)) ? found : await missingBlob(registry, digest);
}

/** Renews a visible blob's lease; false where there is no such blob. */
export function* renewLink(repo: RepositoryName, digest: Digest, leaseUntil: number): Operation<boolean> {
  const links = yield* change(renewLinkLease, { repo, digest, leaseUntil });
  if (links > 0) yield* reviewLink(repo, digest, leaseUntil);
  return links > 0;
}

export type DeleteBlobOutcome =
  | { readonly outcome: 'deleted' }
  | { readonly outcome: 'unknown' }
  | { readonly outcome: 'referenced'; readonly manifests: readonly Digest[] };

/**
 * Deletes a blob from a repository, at once for clients; the bytes go when nothing else holds them. Refused while a
 * visible manifest needs it. Whoever has pushed or seen it before must push it again: a client's own delete ends its lease.
 */
export async function deleteBlob(
  registry: Registry,
  repo: RepositoryName,
  digest: Digest,
  actor: Actor = anyClient,
): Promise<DeleteBlobOutcome> {
  const now = registry.clock.now();
  return await registry.metadata.write(
    function* remove(): Operation<DeleteBlobOutcome> {
      if ((yield* first(visibleBlob, { repo, digest })) === undefined) return { outcome: 'unknown' };
      const holders = yield* all(visibleManifestsOfBlob, { repo, digest, limit: namedHolders });
      if (holders.length > 0) return { outcome: 'referenced', manifests: holders.map((holder) => holder.digest) };
      yield* change(hideLink, { repo, digest, now });
      yield* recordEvent({ at: now, kind: 'link.deleted', repo, digest, actor });
      yield* reviewLink(repo, digest, now);
      return { outcome: 'deleted' };
    },
    { fromReserve: true },
  );
}
