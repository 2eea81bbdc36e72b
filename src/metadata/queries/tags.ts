import { sql } from 'kysely';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName, TagName } from '../../oci/names.ts';
import { query } from '../query.ts';

export const tagTarget = query<{ repo: RepositoryName; name: TagName }>()(({ db, p }) =>
  db
    .selectFrom('tag')
    .select(['manifest', 'pushed_at', 'moved_at'])
    .where('repo', '=', p('repo'))
    .where('name', '=', p('name')),
);

/** Points a tag at a manifest. Where it points there already, only the time of the push is new. */
export const upsertTag = query<{ repo: RepositoryName; name: TagName; manifest: Digest; now: number }>()(({ db, p }) =>
  db
    .insertInto('tag')
    .values({
      repo: p('repo'),
      name: p('name'),
      manifest: p('manifest'),
      moved_at: p('now'),
      pushed_at: p('now'),
      touched_at: p('now'),
    })
    .onConflict((conflict) =>
      conflict.columns(['repo', 'name']).doUpdateSet(({ eb, ref }) => ({
        moved_at: eb.case().when('tag.manifest', '=', p('manifest')).then(ref('tag.moved_at')).else(p('now')).end(),
        last_pulled_at: eb
          .case()
          .when('tag.manifest', '=', p('manifest'))
          .then(ref('tag.last_pulled_at'))
          .else(null)
          .end(),
        manifest: p('manifest'),
        pushed_at: p('now'),
        touched_at: p('now'),
      })),
    ),
);

/** Which of some tags there are in a repository. */
export const tagsAmong = query<{ repo: RepositoryName; names: readonly TagName[] }>()(({ db, p, dialect }) =>
  db
    .selectFrom('tag')
    .select('name')
    .where('repo', '=', p('repo'))
    .where(({ ref }) => dialect.isOneOf(ref('name'), p('names'))),
);

export const markManifestTagged = query<{ repo: RepositoryName; digest: Digest; now: number }>()(({ db, p }) =>
  db
    .updateTable('manifest')
    .set({ tagged_at: p('now') })
    .where('repo', '=', p('repo'))
    .where('digest', '=', p('digest')),
);

/** Removes a tag and tells what it pointed at, in one statement (R12). */
export const deleteTag = query<{ repo: RepositoryName; name: TagName }>()(({ db, p }) =>
  db
    .deleteFrom('tag')
    .where('repo', '=', p('repo'))
    .where('name', '=', p('name'))
    .returning(['manifest', 'pushed_at', 'moved_at']),
);

/**
 * T_retire: removes a tag if it is still what it was judged to be: where it led, and last pushed, tagged and pulled no
 * later than that (R12, R22, R25).
 */
export const retireTag = query<{
  repo: RepositoryName;
  name: TagName;
  manifest: Digest;
  pushedAt: number;
  taggedAt: number;
  pulledAt: number;
}>()(({ db, p }) =>
  db
    .deleteFrom('tag')
    .where('repo', '=', p('repo'))
    .where('name', '=', p('name'))
    .where('manifest', '=', p('manifest'))
    .where('pushed_at', '<=', p('pushedAt'))
    .where('touched_at', '<=', p('pushedAt'))
    .where('moved_at', '<=', p('taggedAt'))
    .where(({ eb, or }) => or([eb('last_pulled_at', 'is', null), eb('last_pulled_at', '<=', p('pulledAt'))]))
    .returning(['manifest', 'pushed_at', 'moved_at']),
);

/**
 * Removes the tags that point at a manifest at this moment, and no others (R12). The manifest is taken first, as pushes do,
 * though it can change only once they are gone (ADR 27). They are looked up by a subquery because SQLite otherwise walks
 * through all tags of the repository.
 */
export const deleteTagsOf = query<{ repo: RepositoryName; manifest: Digest }>()(({ db, p, dialect }) =>
  db
    .deleteFrom('tag')
    .where('repo', '=', p('repo'))
    .where(
      ({ ref, selectFrom }) =>
        sql<boolean>`${ref('name')} in ${dialect.lockingManifests(
          selectFrom('tag as pointing')
            .innerJoin('manifest', (join) =>
              join.onRef('manifest.repo', '=', 'pointing.repo').onRef('manifest.digest', '=', 'pointing.manifest'),
            )
            .select('pointing.name')
            .where('pointing.repo', '=', p('repo'))
            .where('pointing.manifest', '=', p('manifest')),
        )}`,
    )
    .returning(['name', 'pushed_at', 'moved_at']),
);

/**
 * Remembers for the trash window what a tag pointed at (R23), as the last thing that it did: later than all before it,
 * also where that was in the same millisecond, or the clock was set back since.
 */
export const insertTagTrash = query<{
  repo: RepositoryName;
  name: TagName;
  manifest: Digest;
  now: number;
  purgeAfter: number;
}>()(({ db, p, dialect }) =>
  db
    .insertInto('tag_trash')
    .values(({ selectFrom, fn }) => {
      const lastBefore = selectFrom('tag_trash')
        .select((before) => before(before.fn.max('trashed_at'), '+', 1).as('next'))
        .where('repo', '=', p('repo'))
        .where('name', '=', p('name'));
      return {
        repo: p('repo'),
        name: p('name'),
        manifest: p('manifest'),
        trashed_at: dialect.greatest(p('now'), fn.coalesce(lastBefore, p('now'))),
        purge_after: p('purgeAfter'),
      };
    })
    .onConflict((conflict) =>
      conflict
        .columns(['repo', 'name', 'manifest'])
        .doUpdateSet(({ ref }) => ({ trashed_at: ref('excluded.trashed_at'), purge_after: p('purgeAfter') })),
    ),
);

/** Any other tag of a repository with a name from one on and before another. */
export const anotherTagBetween = query<{ repo: RepositoryName; name: TagName; from: string; before: string }>()(
  ({ db, p }) =>
    db
      .selectFrom('tag')
      .select('name')
      .where('repo', '=', p('repo'))
      .where(({ eb, ref }) => eb(ref('name').$castTo<string>(), '>=', p('from')))
      .where(({ eb, ref }) => eb(ref('name').$castTo<string>(), '<', p('before')))
      .where('name', '<>', p('name'))
      .limit(1),
);

export const touchTag = query<{ repo: RepositoryName; name: TagName; now: number }>()(({ db, p }) =>
  db
    .updateTable('tag')
    .set({ touched_at: p('now') })
    .where('repo', '=', p('repo'))
    .where('name', '=', p('name')),
);

/** Tags after `last`, in byte order. */
export const listTags = query<{ repo: RepositoryName; last: string; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('tag')
    .select('name')
    .where('repo', '=', p('repo'))
    .where(({ eb, ref }) => eb(ref('name').$castTo<string>(), '>', p('last')))
    .orderBy('name')
    .limit(p('limit')),
);

export const recordTagPull = query<{ repo: RepositoryName; name: TagName; manifest: Digest; at: number }>()(
  ({ db, p, dialect }) =>
    db
      .updateTable('tag')
      .set(({ ref, fn }) => ({
        last_pulled_at: dialect.greatest(fn.coalesce(ref('last_pulled_at'), p('at')), p('at')),
      }))
      .where('repo', '=', p('repo'))
      .where('name', '=', p('name'))
      .where('manifest', '=', p('manifest')),
);
