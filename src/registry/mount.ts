import { all, change, first, type Operation } from '../metadata/operation.ts';
import {
  attachAbsentBlobEdges,
  upsertLink,
  visibleBlob,
  visibleLinks,
  visibleLinksBetween,
} from '../metadata/queries/links.ts';
import { liveObject } from '../metadata/queries/objects.ts';
import { insertRepository } from '../metadata/queries/repositories.ts';
import type { Begun } from '../metadata/store.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import { type Actor, anyClient } from './actor.ts';
import { recordEvent } from './events.ts';
import { type Purged, purgedDigest } from './purges/purged.ts';
import { admitLink } from './quota-usage.ts';
import type { Admission, QuotasInForce } from './quotas.ts';
import type { Registry } from './registry.ts';
import { reviewLink } from './review.ts';
import { namesBeginningWith, type Sight } from './sight.ts';

export interface MountRequest {
  readonly repo: RepositoryName;
  readonly digest: Digest;
  /** The repository that has the blob; undefined: any. */
  readonly from: RepositoryName | undefined;
  /** Which repositories it may come from; any where it is not given. */
  readonly sight?: Sight;
  readonly actor?: Actor;
}

/**
 * Of more repositories that have a blob, of those that have names beginning alike, no more are looked at, nor of more such
 * beginnings: where none of those may be seen, the client uploads it. Where any may be, the first one decides.
 */
const mostHolders = 100;
const mostStarts = 100;

type Hindrance = { readonly outcome: 'blocked'; readonly purged: Purged } | { readonly outcome: 'impossible' };

export type MountOutcome = Admission | Hindrance;

/**
 * T_mount: makes a blob of one repository visible in another without moving a byte. The source is looked up in the
 * transaction that adds the link, so the collector cannot come between (R8). Where it cannot be done the client then
 * uploads; where a quota has no room for the blob, that would be in vain too.
 */
export async function mountBlob(registry: Registry, request: MountRequest): Promise<MountOutcome> {
  const now = registry.clock.now();
  const leaseUntil = now + registry.windows.leaseMs;
  // Whoever may not see all is told no by the same reads wherever the blob is, and waits for nobody who writes.
  if (request.sight !== undefined) {
    const hindrance = await registry.metadata.read(() => hindranceOf(request));
    if (hindrance !== undefined) return hindrance;
  }
  return await registry.metadata.write((begun) => mount(request, { quotas: registry.quotas, begun, now, leaseUntil }));
}

interface Mounting {
  readonly quotas: QuotasInForce;
  readonly begun: Begun;
  readonly now: number;
  readonly leaseUntil: number;
}

function* mount(request: MountRequest, { quotas, begun, now, leaseUntil }: Mounting): Operation<MountOutcome> {
  const { repo, digest, from, actor = anyClient } = request;
  const hindrance = yield* hindranceOf(request);
  if (hindrance !== undefined) return hindrance;
  const bytes = (yield* first(liveObject, { digest }))?.size_bytes ?? 0;
  const quota = (yield* quotas.at(begun)).of(repo);
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

/** Why it cannot be mounted; undefined where it can. */
function* hindranceOf(request: MountRequest): Operation<Hindrance | undefined> {
  const purged = yield* purgedDigest(request.digest);
  if (purged !== undefined) return { outcome: 'blocked', purged };
  return (yield* isInSource(request)) ? undefined : { outcome: 'impossible' };
}

/**
 * Of a source that the client may not see nothing is read. Where it names none, it is looked for only where the names of
 * those begin that the client may see: in how many others it is makes no difference to what is read.
 */
function* isInSource({ digest, from, sight }: MountRequest): Operation<boolean> {
  if (from !== undefined) {
    return (sight?.maySee(from) ?? true) && (yield* first(visibleBlob, { repo: from, digest })) !== undefined;
  }
  if (sight === undefined) return (yield* first(visibleLinks, { digest, limit: 1 })) !== undefined;
  for (const start of sight.starts.slice(0, mostStarts)) {
    const names = namesBeginningWith(start);
    const holders = yield* all(visibleLinksBetween, { digest, ...names, limit: mostHolders });
    if (holders.some(({ repo }) => sight.maySee(repo))) return true;
  }
  return false;
}
