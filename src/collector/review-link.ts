import { change, first, type Operation } from '../metadata/operation.ts';
import { anyManifestOfBlob } from '../metadata/queries/holds.ts';
import { linkLease } from '../metadata/queries/links.ts';
import { liveObject } from '../metadata/queries/objects.ts';
import { deleteLink } from '../metadata/queries/removals.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import { collectorActor } from '../registry/actor.ts';
import { recordEvent } from '../registry/events.ts';
import { uncountLink } from '../registry/quota-usage.ts';
import { leaseEnd } from '../registry/lease-end.ts';
import { reviewObject } from '../registry/review.ts';
import { forgetIfEmpty } from '../registry/forget-repository.ts';
import type { ReviewTime } from './hold.ts';
import { done, type ReviewOutcome, reviewAgainAt } from './review.ts';

/**
 * T_review(link): a blob stays visible in a repository while a manifest needs it, be it in the trash, or its lease goes
 * on. Else its link goes, and its object is looked at.
 */
export function* reviewLink(repo: RepositoryName, digest: Digest, time: ReviewTime): Operation<ReviewOutcome> {
  const link = yield* first(linkLease, { repo, digest });
  if (link === undefined) return done;
  if ((yield* first(anyManifestOfBlob, { repo, digest })) !== undefined) return done;
  const until = link.deleted_at === null ? yield* leaseEnd(repo, link.lease_until, time) : undefined;
  if (until !== undefined) return reviewAgainAt(until);
  // The quota before the link, as whoever adds one takes them.
  yield* uncountLink(time.quotas.of(repo), repo, digest);
  yield* change(deleteLink, { repo, digest });
  const reason = link.deleted_at === null ? 'no manifest needs it, and its lease is over' : 'a client deleted it';
  yield* recordEvent({ at: time.now, kind: 'link.collected', repo, digest, actor: collectorActor, reason });
  yield* forgetIfEmpty(repo, time.now);
  const object = yield* first(liveObject, { digest });
  if (object !== undefined) yield* reviewObject(object.oid, time.now);
  return { ...done, collected: { links: 1 } };
}
