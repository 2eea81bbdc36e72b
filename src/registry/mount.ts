import { all, change, first, type Operation } from '../metadata/operation.ts';
import { attachAbsentBlobEdges, upsertLink, visibleBlob, visibleLinks } from '../metadata/queries/links.ts';
import { liveObject } from '../metadata/queries/objects.ts';
import { insertRepository } from '../metadata/queries/repositories.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import { type Actor, anyClient } from './actor.ts';
import { recordEvent } from './events.ts';
import { type Purged, purgedDigest } from './purged.ts';
import { admitLink } from './quota-usage.ts';
import type { Admission, Quota } from './quotas.ts';
import type { Registry } from './registry.ts';
import { reviewLink } from './review.ts';

export interface MountRequest {
  readonly repo: RepositoryName;
  readonly digest: Digest;
  /** The repository that has the blob; undefined: any. */
  readonly from: RepositoryName | undefined;
  /** Which repositories it may come from; any where it is not given. */
  readonly maySee?: (repo: RepositoryName) => boolean;
  readonly actor?: Actor;
}

/**
 * Of more repositories that have a blob no more are looked at: where none of those may be seen, the client uploads it. Where
 * any may be, the first one decides.
 */
const mostHolders = 100;

export type MountOutcome =
  Admission | { readonly outcome: 'blocked'; readonly purged: Purged } | { readonly outcome: 'impossible' };

/**
 * T_mount: makes a blob of one repository visible in another without moving a byte. The source is looked up in the
 * transaction that adds the link, so the collector cannot come between (R8). Where it cannot be done the client then
 * uploads; where a quota has no room for the blob, that would be in vain too.
 */
export async function mountBlob(registry: Registry, request: MountRequest): Promise<MountOutcome> {
  const now = registry.clock.now();
  const leaseUntil = now + registry.windows.leaseMs;
  const quota = registry.quotas.of(request.repo);
  return await registry.metadata.write(() => mount(request, quota, now, leaseUntil));
}

function* mount(
  request: MountRequest,
  quota: Quota | undefined,
  now: number,
  leaseUntil: number,
): Operation<MountOutcome> {
  const { repo, digest, from, actor = anyClient } = request;
  const purged = yield* purgedDigest(digest);
  if (purged !== undefined) return { outcome: 'blocked', purged };
  if (!(yield* isInSource(request))) return { outcome: 'impossible' };
  const bytes = (yield* first(liveObject, { digest }))?.size_bytes ?? 0;
  const admission = yield* admitLink(quota, { repo, digest, sizeBytes: bytes }, { now });
  if (admission.outcome === 'over-quota') return admission;
  yield* change(insertRepository, { repo, now });
  yield* change(upsertLink, { repo, digest, leaseUntil, now });
  yield* change(attachAbsentBlobEdges, { repo, digest });
  const reason = from === undefined ? undefined : `from ${from}`;
  yield* recordEvent({ at: now, kind: 'blob.mounted', repo, digest, actor, bytes, ...(reason && { reason }) });
  yield* reviewLink(repo, digest, leaseUntil);
  return admission;
}

/**
 * Of a source that the client may not see nothing is read. Where it names none, as much is read whether any is seen or
 * not: one page of those that have the blob.
 */
function* isInSource({ digest, from, maySee }: MountRequest): Operation<boolean> {
  if (from !== undefined) {
    return (maySee?.(from) ?? true) && (yield* first(visibleBlob, { repo: from, digest })) !== undefined;
  }
  const holders = yield* all(visibleLinks, { digest, limit: maySee === undefined ? 1 : mostHolders });
  return holders.some(({ repo }) => maySee?.(repo) ?? true);
}
