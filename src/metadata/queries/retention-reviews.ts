import { sql } from 'kysely';
import type { RepositoryName } from '../../oci/names.ts';
import { query } from '../query.ts';

/**
 * Has a repository looked at again, or sooner: always an update where it is in the queue, so that whoever is looking at
 * it meanwhile sees by the version that something has changed (R44).
 */
export const upsertRetentionReview = query<{ repo: RepositoryName; dueAt: number; narrowing: 0 | 1 }>()(
  ({ db, p, dialect }) =>
    db
      .insertInto('retention_review')
      .values({ repo: p('repo'), due_at: p('dueAt'), narrowings: p('narrowing') })
      .onConflict((conflict) =>
        conflict.column('repo').doUpdateSet(({ ref, eb, fn }) => ({
          due_at: dialect.least(fn.coalesce(ref('retention_review.due_at'), p('dueAt')), p('dueAt')),
          version: eb('retention_review.version', '+', 1),
          narrowings: eb('retention_review.narrowings', '+', p('narrowing')),
        })),
      ),
);

/** Has a repository looked at now, if it is in the queue. */
export const hastenRetentionReview = query<{ repo: RepositoryName; dueAt: number }>()(({ db, p }) =>
  db
    .updateTable('retention_review')
    .set(({ eb }) => ({ due_at: p('dueAt'), version: eb('version', '+', 1) }))
    .where('repo', '=', p('repo')),
);

/** Repositories that are due and that nobody has claimed, the longest due first. */
export const dueRetentionReviews = query<{ now: number; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('retention_review')
    .select(['repo', 'version', 'attempts', 'claimed_until'])
    .where('due_at', '<=', p('now'))
    .where('claimed_until', '<=', p('now'))
    .orderBy('due_at')
    .limit(p('limit')),
);

/**
 * Takes repositories that are due for itself until `until`, the longest due first; those that others have taken, or are about
 * to, are left to them. The rows come in any order.
 */
export const claimRetentionReviews = query<{ now: number; until: number; limit: number }>()(({ db, p, dialect }) =>
  db
    .updateTable('retention_review')
    .set({ claimed_until: p('until') })
    .where(
      ({ ref, selectFrom }) =>
        sql<boolean>`${ref('repo')} in ${dialect.skippingLocked(
          selectFrom('retention_review as due')
            .select('due.repo')
            .where('due.due_at', '<=', p('now'))
            .where('due.claimed_until', '<=', p('now'))
            .orderBy('due.due_at')
            .limit(p('limit')),
        )}`,
    )
    .returning(['repo', 'version', 'attempts', 'claimed_until']),
);

/** Has a repository for longer, or no more where `until` is 0; touches no row where somebody else has taken it since. */
export const renewRetentionReview = query<{ repo: RepositoryName; claimedUntil: number; until: number }>()(
  ({ db, p }) =>
    db
      .updateTable('retention_review')
      .set({ claimed_until: p('until') })
      .where('repo', '=', p('repo'))
      .where('claimed_until', '=', p('claimedUntil')),
);

/** Has those that are looking at other repositories now see that what theirs share with one has changed. */
export const unsettleClaimedReviews = query<{ repo: RepositoryName; now: number }>()(({ db, p }) =>
  db
    .updateTable('retention_review')
    .set(({ eb }) => ({ version: eb('version', '+', 1) }))
    .where('claimed_until', '>', p('now'))
    .where('repo', '<>', p('repo')),
);

/** When the first repository is due, in ms since 1970. */
export const nextRetentionReview = query<Record<never, never>>()(({ db }) =>
  db.selectFrom('retention_review').select('due_at').where('due_at', 'is not', null).orderBy('due_at').limit(1),
);

/** How often a repository has changed, and how often so that something may stay which was to go. */
export const changesOf = query<{ repo: RepositoryName }>()(({ db, p }) =>
  db.selectFrom('retention_review').select(['version', 'narrowings']).where('repo', '=', p('repo')),
);

/**
 * The next look comes at `dueAt`, or never; where something has changed meanwhile, at `changedDueAt`. Where somebody else has
 * claimed it since, it is theirs to say.
 */
export const postponeRetentionReview = query<{
  repo: RepositoryName;
  version: number;
  claimedUntil: number;
  /** 0. */
  unclaimed: number;
  dueAt: number | null;
  changedDueAt: number;
  attempts: number;
}>()(({ db, p }) =>
  db
    .updateTable('retention_review')
    .set(({ eb }) => ({
      due_at: eb
        .case()
        .when('version', '=', p('version'))
        .then(eb.cast<number | null>(p('dueAt'), 'bigint'))
        .else(eb.cast<number>(p('changedDueAt'), 'bigint'))
        .end(),
      attempts: p('attempts'),
      claimed_until: p('unclaimed'),
    }))
    .where('repo', '=', p('repo'))
    .where('claimed_until', '=', p('claimedUntil')),
);

/** The repository is gone, or under no policy: it is looked at no more, unless it has changed meanwhile. */
export const deleteRetentionReview = query<{ repo: RepositoryName; version: number }>()(({ db, p }) =>
  db.deleteFrom('retention_review').where('repo', '=', p('repo')).where('version', '=', p('version')),
);
