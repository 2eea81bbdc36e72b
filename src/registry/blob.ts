import type { ObjectId } from '../blobs/store.ts';
import { all, change, first, type Operation } from '../metadata/operation.ts';
import { hideLink, renewLinkLease, visibleBlob } from '../metadata/queries/links.ts';
import { visibleManifestsOfBlob } from '../metadata/queries/manifests.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Registry } from './registry.ts';
import { reviewLink } from './review.ts';

/** How many holders a refusal names at most. */
const namedHolders = 10;

export type FoundBlob =
  { readonly outcome: 'found'; readonly oid: ObjectId; readonly sizeBytes: number } | { readonly outcome: 'unknown' };

/**
 * A blob that is visible in a repository, for a pull. Nothing is remembered between calls: what is visible is what is
 * committed now (I10, R9). A file that is missing or has the wrong size is reported and not served.
 */
export async function findBlob(registry: Registry, repo: RepositoryName, digest: Digest): Promise<FoundBlob> {
  const row = await registry.metadata.read(() => first(visibleBlob, { repo, digest }));
  if (row === undefined) return { outcome: 'unknown' };
  const onDisk = await registry.blobs.size(row.oid);
  if (onDisk === row.size_bytes) return { outcome: 'found', oid: row.oid, sizeBytes: row.size_bytes };
  // The file may have gone with its row since the row was read (R46).
  const again = await registry.metadata.read(() => first(visibleBlob, { repo, digest }));
  if (again !== undefined && again.oid === row.oid) {
    registry.log.error(
      { repo, digest, oid: row.oid, expectedBytes: row.size_bytes, onDiskBytes: onDisk },
      'a blob is damaged on the disk and is not served; pushing it again repairs it',
    );
    return { outcome: 'unknown' };
  }
  return again === undefined
    ? { outcome: 'unknown' }
    : { outcome: 'found', oid: again.oid, sizeBytes: again.size_bytes };
}

/**
 * T_head: whether a client that may push has to upload a blob. A yes renews the blob's lease before it is given, so
 * that the client may build on it (I7, R1).
 */
export async function headBlobForPush(registry: Registry, repo: RepositoryName, digest: Digest): Promise<FoundBlob> {
  const found = await findBlob(registry, repo, digest);
  if (found.outcome === 'unknown') return found;
  const now = registry.clock.now();
  const { leaseMs } = registry.windows;
  const lease = await registry.metadata.read(() => first(visibleBlob, { repo, digest }));
  if (lease === undefined) return { outcome: 'unknown' };
  if (lease.lease_until >= now + leaseMs / 2) return found;
  const leaseUntil = now + leaseMs;
  const renewed = await registry.metadata.write(function* renew(): Operation<number> {
    const links = yield* change(renewLinkLease, { repo, digest, leaseUntil });
    if (links > 0) yield* reviewLink(repo, digest, leaseUntil);
    return links;
  });
  return renewed > 0 ? found : { outcome: 'unknown' };
}

export type DeleteBlobOutcome =
  | { readonly outcome: 'deleted' }
  | { readonly outcome: 'unknown' }
  | { readonly outcome: 'referenced'; readonly manifests: readonly Digest[] };

/**
 * Deletes a blob from a repository, at once for clients; the bytes go when nothing else holds them. Refused while a
 * visible manifest needs it. Whoever has pushed or seen it before must push it again: a client's own delete ends its lease.
 */
export async function deleteBlob(registry: Registry, repo: RepositoryName, digest: Digest): Promise<DeleteBlobOutcome> {
  const now = registry.clock.now();
  return await registry.metadata.write(function* remove(): Operation<DeleteBlobOutcome> {
    if ((yield* first(visibleBlob, { repo, digest })) === undefined) return { outcome: 'unknown' };
    const holders = yield* all(visibleManifestsOfBlob, { repo, digest, limit: namedHolders });
    if (holders.length > 0) return { outcome: 'referenced', manifests: holders.map((holder) => holder.digest) };
    yield* change(hideLink, { repo, digest, now });
    yield* reviewLink(repo, digest, now);
    return { outcome: 'deleted' };
  });
}
