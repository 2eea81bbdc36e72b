import { change, first, type Operation } from '../../metadata/operation.ts';
import {
  manifestByDigest,
  manifestByTag,
  manifestHeadByDigest,
  manifestHeadByTag,
  renewManifestLease,
} from '../../metadata/queries/manifests.ts';
import { touchTag } from '../../metadata/queries/tags.ts';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/names.ts';
import type { Reference } from '../../oci/reference.ts';
import { type Purged, purgedReference } from '../purges/purged.ts';
import { anyPuller, type Puller } from '../puller.ts';
import type { FoundManifest } from './recent.ts';
import { whereWritable } from '../read-only.ts';
import type { Registry } from '../registry.ts';
import { reviewRepository } from '../retention-review.ts';
import { reviewManifest } from '../review.ts';

/** Why there is no manifest for a pull: what it would lead to was purged; undefined where it is just not there. */
export async function whyNoManifest(
  { metadata }: Registry,
  repo: RepositoryName,
  reference: Reference,
): Promise<Purged | undefined> {
  return await metadata.read(() => purgedReference(repo, reference));
}

/** A visible manifest, for a pull; the pull's time is recorded where it counts. */
export async function getManifest(
  registry: Registry,
  repo: RepositoryName,
  reference: Reference,
  puller: Puller = anyPuller,
): Promise<FoundManifest | undefined> {
  const found = registry.recentManifests.get(repo, reference) ?? (await findManifest(registry, repo, reference));
  if (found === undefined) return undefined;
  if (registry.pullRules.counts(repo, puller, 'GET')) registry.pulls.record(found);
  registry.traffic.pulled(found.bytes.byteLength);
  return found;
}

async function findManifest(
  { metadata, recentManifests }: Registry,
  repo: RepositoryName,
  reference: Reference,
): Promise<FoundManifest | undefined> {
  const { commits } = metadata;
  const tag = reference.kind === 'tag' ? reference.tag : undefined;
  const row = await metadata.read(() =>
    reference.kind === 'tag'
      ? first(manifestByTag, { repo, tag: reference.tag })
      : first(manifestByDigest, { repo, digest: reference.digest }),
  );
  if (row === undefined) return undefined;
  const found: FoundManifest = { repo, digest: row.digest, tag, mediaType: row.media_type, bytes: row.bytes };
  recentManifests.add(reference, found, commits);
  return found;
}

export interface ManifestHead {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
}

/**
 * Whether a client that may push has to push a manifest. A yes renews the manifest's lease before it is given, and with
 * it that of everything below (R15); asked by tag, the tag counts as pushed again (R22). Where a HEAD counts as a pull,
 * its time is recorded too.
 */
export async function headManifestForPush(
  registry: Registry,
  repo: RepositoryName,
  reference: Reference,
  puller: Puller = anyPuller,
): Promise<ManifestHead | undefined> {
  const found = await findForPush(registry, repo, reference);
  if (found !== undefined) countHead(registry, repo, { reference, found, puller });
  return found;
}

/** The same for a client that may only pull: it is told what there is, and nothing is kept for it. */
export async function headManifestForPull(
  registry: Registry,
  repo: RepositoryName,
  reference: Reference,
  puller: Puller = anyPuller,
): Promise<ManifestHead | undefined> {
  const found = await registry.metadata.read(() => head(repo, reference));
  if (found !== undefined) countHead(registry, repo, { reference, found, puller });
  return found;
}

interface Asked {
  readonly reference: Reference;
  readonly found: ManifestHead;
  readonly puller: Puller;
}

function countHead(registry: Registry, repo: RepositoryName, { reference, found, puller }: Asked): void {
  if (!registry.pullRules.counts(repo, puller, 'HEAD')) return;
  const tag = reference.kind === 'tag' ? reference.tag : undefined;
  registry.pulls.record({ repo, digest: found.digest, tag });
}

async function findForPush(
  registry: Registry,
  repo: RepositoryName,
  reference: Reference,
): Promise<ManifestHead | undefined> {
  const row = await registry.metadata.read(() => head(repo, reference));
  if (row === undefined) return undefined;
  const now = registry.clock.now();
  const { leaseMs } = registry.windows;
  const leaseIsLong = row.lease_until >= now + leaseMs / 2;
  const tagIsFresh = row.touched_at === undefined || row.touched_at >= now - leaseMs / 2;
  if (leaseIsLong && tagIsFresh) {
    await registry.metadata.durable();
    return row;
  }
  const leaseUntil = now + leaseMs;
  function* renew(): Operation<ManifestHead | undefined> {
    const current = yield* head(repo, reference);
    if (current === undefined) return undefined;
    yield* change(renewManifestLease, { repo, digest: current.digest, leaseUntil });
    if (reference.kind === 'tag') yield* change(touchTag, { repo, name: reference.tag, now });
    yield* reviewManifest(repo, current.digest, leaseUntil);
    yield* reviewRepository(registry.retention, repo, 'grown', now);
    return current;
  }
  return await whereWritable(() => registry.metadata.write(renew, { fromReserve: true }), row);
}

interface HeadRow extends ManifestHead {
  readonly lease_until: number;
  readonly touched_at: number | undefined;
}

function* head(repo: RepositoryName, reference: Reference): Operation<HeadRow | undefined> {
  if (reference.kind === 'tag') {
    const row = yield* first(manifestHeadByTag, { repo, tag: reference.tag });
    return row === undefined ? undefined : { ...row, mediaType: row.media_type, sizeBytes: row.size_bytes };
  }
  const row = yield* first(manifestHeadByDigest, { repo, digest: reference.digest });
  return row === undefined
    ? undefined
    : { ...row, touched_at: undefined, mediaType: row.media_type, sizeBytes: row.size_bytes };
}
