import { all, first, type Operation } from '../metadata/operation.ts';
import { anyTagOf, latestTrashedTagOf, manifestTimes, parentsOf } from '../metadata/queries/holds.ts';
import { findPin } from '../metadata/queries/pins.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import { leaseEnd } from '../registry/lease-end.ts';
import type { Immutability } from '../registry/immutability.ts';
import type { Quotas } from '../registry/quotas.ts';
import type { Windows } from '../registry/registry.ts';

/** Until when something is held, in ms since 1970; Infinity while nobody takes the hold away. */
export type HeldUntil = number;

/** The time of a review, how long the things last that end by themselves, and what counts them. */
export interface ReviewTime {
  readonly now: number;
  readonly windows: Windows;
  readonly quotas: Quotas;
  readonly immutability: Immutability;
  /** How long a write to the blob store may be on its way, in ms. */
  readonly lateWritesMs: number;
}

/** How often it is looked whether a repository is still pinned, for what nothing else holds in it, in ms. */
const repositoryPinLookMs = 3_600_000;

interface OwnHold {
  /** Undefined where nothing holds the manifest by itself. */
  readonly until: HeldUntil | undefined;
  readonly subject: Digest | undefined;
}

/**
 * What holds a manifest by itself, whatever holds the indexes that list it: a tag, a pin, and for a time its trash
 * window, a tag in the trash, a lease, or that it is waiting for its first tag. Undefined where there is no such manifest.
 */
function* ownHold(repo: RepositoryName, digest: Digest, time: ReviewTime): Operation<OwnHold | undefined> {
  const row = yield* first(manifestTimes, { repo, digest });
  if (row === undefined) return undefined;
  const isVisible = row.state === 'live';
  const subject = isVisible ? (row.subject ?? undefined) : undefined;
  const isTagged = (yield* first(anyTagOf, { repo, manifest: digest })) !== undefined;
  if (isTagged || (yield* first(findPin, { repo, kind: 'manifest', name: digest })) !== undefined) {
    return { until: Infinity, subject };
  }

  const trashedTags = yield* first(latestTrashedTagOf, { repo, manifest: digest });
  const isWaitingForFirstTag = isVisible && row.tagged_at === null && row.released_at === null;
  const lastUse = Math.max(row.pushed_at, row.last_pulled_at ?? 0, row.lease_until - time.windows.leaseMs);
  const ends = [
    row.trash_until ?? 0,
    trashedTags?.purge_after ?? 0,
    isVisible ? ((yield* leaseEnd(repo, row.lease_until, time)) ?? 0) : 0,
    isWaitingForFirstTag ? lastUse + time.windows.neverTaggedMs : 0,
  ];
  const until = Math.max(...ends);
  return { until: until > time.now ? until : undefined, subject };
}

/** What a search for a manifest's holds has found. */
export interface Search {
  /** Until when it is held; undefined where nothing holds it. */
  readonly until: HeldUntil | undefined;
  /** Every manifest that was looked at. */
  readonly visited: readonly Digest[];
  /** Whether an index lists it, held or not. */
  readonly isListed: boolean;
}

/**
 * Looks for what holds a manifest: its own holds, or those of an index above it or of its subject, and of theirs. The
 * search goes upward only, so that an index that lists its own subject is not kept by it (R50), and ends at the first
 * hold that it finds. A pin of the repository holds what nothing else does, but not for ever: its reviews are put off
 * instead of dropped, so that they need not be looked for when the pin is taken away.
 */
export function* searchHold(repo: RepositoryName, digest: Digest, time: ReviewTime): Operation<Search> {
  const visited = new Set<Digest>();
  const waiting: Digest[] = [digest];
  let isListed = false;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (visited.has(next)) continue;
    const hold = yield* ownHold(repo, next, time);
    if (hold === undefined) continue;
    visited.add(next);
    if (hold.until !== undefined) return { until: hold.until, visited: [...visited], isListed };
    const parents = yield* all(parentsOf, { repo, child: next });
    if (next === digest) isListed = parents.length > 0;
    waiting.push(...parents.map(({ parent }) => parent));
    if (hold.subject !== undefined) waiting.push(hold.subject);
  }
  const isPinned = (yield* first(findPin, { repo, kind: 'repository', name: '' })) !== undefined;
  return { until: isPinned ? time.now + repositoryPinLookMs : undefined, visited: [...visited], isListed };
}
