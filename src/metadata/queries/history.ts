import { sql } from 'kysely';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName, TagName } from '../../oci/names.ts';
import { query } from '../query.ts';
import type { PushHistoryTable } from '../schema.ts';

/** So many pulls more on a day. */
export const addPulls = query<{
  repo: RepositoryName;
  digest: Digest;
  tag: TagName | '';
  day: number;
  pulls: number;
  at: number;
}>()(({ db, p, dialect }) =>
  db
    .insertInto('pull_history')
    .values({
      day: p('day'),
      repo: p('repo'),
      digest: p('digest'),
      tag: p('tag'),
      pulls: p('pulls'),
      last_at: p('at'),
    })
    .onConflict((conflict) =>
      conflict.columns(['day', 'repo', 'digest', 'tag']).doUpdateSet(({ ref, eb }) => ({
        pulls: eb(ref('pull_history.pulls'), '+', p('pulls')),
        last_at: dialect.greatest(ref('pull_history.last_at'), p('at')),
      })),
    ),
);

export const insertPushHistory = query<{
  at: number;
  repo: RepositoryName;
  tag: TagName | '';
  what: PushHistoryTable['what'];
  digest: Digest;
  was: Digest | null;
  wasPushedAt: number | null;
  wasTaggedAt: number | null;
  manifest: string | null;
}>()(({ db, p }) =>
  db.insertInto('push_history').values({
    at: p('at'),
    repo: p('repo'),
    tag: p('tag'),
    what: p('what'),
    digest: p('digest'),
    was: p('was'),
    was_pushed_at: p('wasPushedAt'),
    was_tagged_at: p('wasTaggedAt'),
    manifest: p('manifest'),
  }),
);

/** What was pushed and removed in a repository after a row, in the order in which it was. */
export const pushHistoryAfter = query<{ repo: RepositoryName; after: number; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('push_history')
    .select(['id', 'at', 'repo', 'tag', 'what', 'digest', 'was', 'was_pushed_at', 'was_tagged_at', 'manifest'])
    .where('repo', '=', p('repo'))
    .where('id', '>', p('after'))
    .orderBy('id')
    .limit(p('limit')),
);

/** The pulls of a repository on a day after one of them. */
export const pullHistoryAfter = query<{
  day: number;
  repo: RepositoryName;
  digest: string;
  tag: string;
  limit: number;
}>()(({ db, p }) =>
  db
    .selectFrom('pull_history')
    .select(['digest', 'tag', 'pulls', 'last_at'])
    .where('day', '=', p('day'))
    .where('repo', '=', p('repo'))
    .where(({ ref }) => sql<boolean>`(${ref('digest')}, ${ref('tag')}) > (${p('digest')}, ${p('tag')})`)
    .orderBy('digest')
    .orderBy('tag')
    .limit(p('limit')),
);

/** The next repository of which something is remembered that was pushed or removed. */
export const repositoryOfHistoryAfter = query<{ after: string }>()(({ db, p }) =>
  db
    .selectFrom('push_history')
    .select('repo')
    .where(({ eb, ref }) => eb(ref('repo').$castTo<string>(), '>', p('after')))
    .orderBy('repo')
    .orderBy('id')
    .limit(1),
);

/** The first of what is remembered of pushes and removals. */
export const firstPushHistory = query<Record<never, never>>()(({ db }) =>
  db.selectFrom('push_history').select(['id', 'at']).orderBy('id').limit(1),
);

/** The last of it. */
export const lastPushHistory = query<Record<never, never>>()(({ db }) =>
  db.selectFrom('push_history').select('id').orderBy('id', 'desc').limit(1),
);

/** The first day after another of which pulls are remembered. */
export const nextDayOfPulls = query<{ after: number }>()(({ db, p }) =>
  db.selectFrom('pull_history').select('day').where('day', '>', p('after')).orderBy('day').limit(1),
);

/** Of the rows of a day of pulls after one of them, the first behind `skip` others. */
export const pullOfDayBehind = query<{ day: number; repo: string; digest: string; tag: string; skip: number }>()(
  ({ db, p }) =>
    db
      .selectFrom('pull_history')
      .select(['repo', 'digest', 'tag'])
      .where('day', '=', p('day'))
      .where(
        ({ ref }) =>
          sql<boolean>`(${ref('repo')}, ${ref('digest')}, ${ref('tag')}) > (${p('repo')}, ${p('digest')}, ${p('tag')})`,
      )
      .orderBy('repo')
      .orderBy('digest')
      .orderBy('tag')
      .limit(1)
      .offset(p('skip')),
);

/** How many rows a day of pulls has after one of them. */
export const pullsOfDayAfter = query<{ day: number; repo: string; digest: string; tag: string }>()(({ db, p }) =>
  db
    .selectFrom('pull_history')
    .select(({ fn }) => fn.countAll<number>().as('rows'))
    .where('day', '=', p('day'))
    .where(
      ({ ref }) =>
        sql<boolean>`(${ref('repo')}, ${ref('digest')}, ${ref('tag')}) > (${p('repo')}, ${p('digest')}, ${p('tag')})`,
    ),
);

/** Of the first `limit` rows of pulls, removes those from before a day. */
export const deleteOldPullHistory = query<{ before: number; limit: number }>()(({ db, p }) =>
  db
    .deleteFrom('pull_history')
    .where(
      ({ ref, selectFrom }) =>
        sql<boolean>`(${ref('day')}, ${ref('repo')}, ${ref('digest')}, ${ref('tag')}) in ${selectFrom('pull_history')
          .select(['day', 'repo', 'digest', 'tag'])
          .where('day', '<', p('before'))
          .orderBy('day')
          .orderBy('repo')
          .orderBy('digest')
          .orderBy('tag')
          .limit(p('limit'))}`,
    ),
);

/** Of the first `limit` rows of pushes and removals, removes those from before a time, and those up to a number. */
export const deleteOldPushHistory = query<{ before: number; upTo: number; limit: number }>()(({ db, p }) =>
  db.deleteFrom('push_history').where('id', 'in', ({ selectFrom }) =>
    selectFrom(selectFrom('push_history').select(['id', 'at']).orderBy('id').limit(p('limit')).as('oldest'))
      .select('oldest.id')
      .where(({ or, eb }) => or([eb('oldest.at', '<', p('before')), eb('oldest.id', '<=', p('upTo'))])),
  ),
);
