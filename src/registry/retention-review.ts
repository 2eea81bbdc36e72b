import { change, type Operation } from '../metadata/operation.ts';
import { upsertRetentionReview } from '../metadata/queries/retention-reviews.ts';
import type { RepositoryName } from '../oci/names.ts';

/** What the operations need to know of retention: when it has to look at a repository again. */
export interface RetentionScope {
  /** How soon after a change a repository is looked at, in ms; undefined where no policy is for it. */
  lookAfterMs(repo: RepositoryName): number | undefined;
  /** Whether a pull may push something else out: where a policy counts the most recently pulled. */
  heedsPulls(repo: RepositoryName): boolean;
  /** Whether something may stay for another tag being moved: where a policy counts by what tags lead to. */
  heedsMoves(repo: RepositoryName): boolean;
}

/** Where there are no policies. */
export const noRetention: RetentionScope = {
  lookAfterMs: () => undefined,
  heedsPulls: () => false,
  heedsMoves: () => false,
};

/** Where it is not known which policies a server has: it looks at whatever has changed when it starts. */
export const anyRetention: RetentionScope = { lookAfterMs: () => 0, heedsPulls: () => false, heedsMoves: () => true };

/**
 * How a repository has changed: by something new, by which something else may go; or so that something may stay that was
 * to go, as where a newer tag is deleted or leads to something else, or a signature comes. What retention has decided
 * before does not hold then.
 */
export type RepositoryChange = 'grown' | 'narrowed';

/**
 * Has retention look at a repository again soon; many changes share a look. Among the last statements of a transaction,
 * like all that is queued (protocol.md, section 3).
 */
export function* reviewRepository(
  scope: RetentionScope,
  repo: RepositoryName,
  how: RepositoryChange,
  now: number,
): Operation<void> {
  const afterMs = scope.lookAfterMs(repo);
  if (afterMs === undefined) return;
  yield* change(upsertRetentionReview, { repo, dueAt: now + afterMs, narrowing: how === 'narrowed' ? 1 : 0 });
}
