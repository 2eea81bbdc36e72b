import { first, type Operation } from '../metadata/operation.ts';
import { anyUploadBegunBy, anyUploadEndedSince } from '../metadata/queries/holds.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Windows } from './registry.ts';
import { doneSessionMs } from './uploads/open.ts';

/** A lease that ends while an upload begun inside it goes on is prolonged no further than this, in ms. */
const longestProlongationMs = 7 * 24 * 3_600_000;
/** How often it is looked whether such uploads have ended, at most and at least, in ms. */
const uploadLookMs = { most: 10 * 60_000, least: 10 };

/**
 * Until when a lease holds (I7): to its end, and beyond it while an upload in the repository is open that began before
 * its end, since a client that was told of the thing may be about to push what uses it. When the lease began is not asked:
 * another client may have renewed it since, which must not cut short what the first one was told. When such an upload ends
 * well, what it was for is still to come: the lease goes on for as long as it is after a push, but no longer than the
 * session is remembered. In ms since 1970; undefined where it is over.
 */
export function* leaseEnd(
  repo: RepositoryName,
  leaseUntil: number,
  { now, windows }: { readonly now: number; readonly windows: Pick<Windows, 'leaseMs'> },
): Operation<number | undefined> {
  if (leaseUntil > now) return leaseUntil;
  if (now >= leaseUntil + longestProlongationMs) return undefined;
  const upload = yield* first(anyUploadBegunBy, { repo, at: leaseUntil });
  if (upload !== undefined) {
    const quarterMs = Math.round(windows.leaseMs / 4);
    return now + Math.max(uploadLookMs.least, Math.min(uploadLookMs.most, quarterMs));
  }
  const afterUploadMs = Math.min(windows.leaseMs, doneSessionMs);
  const since = Math.max(leaseUntil - 1, now - afterUploadMs);
  const ended = yield* first(anyUploadEndedSince, { repo, at: leaseUntil, since });
  return ended === undefined ? undefined : ended.touched_at + afterUploadMs;
}
