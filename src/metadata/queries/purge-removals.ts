import { sql } from 'kysely';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/names.ts';
import { query } from '../query.ts';
import type { EventKind, PinTable } from '../schema.ts';

// What a purge takes away: each statement all of its places of a kind.

/** The manifests that a purge takes away, with what is remembered of them. */
export const manifestsOfPurge = query<{ purge: number }>()(({ db, p }) =>
  db
    .selectFrom('purge_place as place')
    .innerJoin('manifest', (join) =>
      join.onRef('manifest.repo', '=', 'place.repo').onRef('manifest.digest', '=', 'place.digest'),
    )
    .select([
      'manifest.repo',
      'manifest.digest',
      'manifest.media_type',
      'manifest.artifact_type',
      'manifest.subject',
      'manifest.pushed_at',
      'manifest.tagged_at',
    ])
    .where('place.purge', '=', p('purge'))
    .where('place.kind', '=', 'manifest'),
);

/** What those manifests hold. */
export const blobsOfPurge = query<{ purge: number }>()(({ db, p }) =>
  db
    .selectFrom('purge_place as place')
    .innerJoin('manifest_blob as edge', (join) =>
      join.onRef('edge.repo', '=', 'place.repo').onRef('edge.manifest', '=', 'place.digest'),
    )
    .select(['edge.repo', 'edge.manifest', 'edge.digest', 'edge.size_bytes'])
    .where('place.purge', '=', p('purge'))
    .where('place.kind', '=', 'manifest')
    .where('edge.link_digest', 'is not', null),
);

/** What those of them that are indexes list. */
export const childrenOfPurge = query<{ purge: number }>()(({ db, p }) =>
  db
    .selectFrom('purge_place as place')
    .innerJoin('manifest_child as edge', (join) =>
      join.onRef('edge.repo', '=', 'place.repo').onRef('edge.parent', '=', 'place.digest'),
    )
    .select(['edge.repo', 'edge.parent', 'edge.child'])
    .where('place.purge', '=', p('purge'))
    .where('place.kind', '=', 'manifest')
    .where('edge.present_child', 'is not', null),
);

/** The tags that it takes away. */
export const tagsOfPurge = query<{ purge: number }>()(({ db, p }) =>
  db
    .selectFrom('purge_place as place')
    .innerJoin('tag', (join) => join.onRef('tag.repo', '=', 'place.repo').onRef('tag.name', '=', 'place.name'))
    .select(['tag.repo', 'tag.name'])
    .where('place.purge', '=', p('purge'))
    .where('place.kind', '=', 'tag'),
);

/** Remembers the tags that it takes away as removed, as `rememberTagGone` does with one. */
export const rememberTagsOfPurge = query<{ purge: number; at: number }>()(({ db, p }) =>
  db
    .insertInto('push_history')
    .columns(['at', 'repo', 'tag', 'what', 'digest', 'was_pushed_at', 'was_tagged_at'])
    .expression(({ selectFrom }) =>
      selectFrom('purge_place as place')
        .innerJoin('tag', (join) => join.onRef('tag.repo', '=', 'place.repo').onRef('tag.name', '=', 'place.name'))
        .select(({ ref }) => [
          sql<number>`${p('at')}`.as('at'),
          ref('tag.repo').as('repo'),
          ref('tag.name').as('tag'),
          sql<'removed'>`${'removed'}`.as('what'),
          ref('tag.manifest').as('digest'),
          ref('tag.pushed_at').as('was_pushed_at'),
          ref('tag.moved_at').as('was_tagged_at'),
        ])
        .where('place.purge', '=', p('purge'))
        .where('place.kind', '=', 'tag'),
    ),
);

/** The links that it takes away. */
export const linksOfPurge = query<{ purge: number }>()(({ db, p }) =>
  db.selectFrom('purge_place').select(['repo', 'digest']).where('purge', '=', p('purge')).where('kind', '=', 'link'),
);

/** An event for each place of a kind. */
export const recordPlaceEvents = query<{
  purge: number;
  place: string;
  kind: EventKind;
  at: number;
  actor: string;
  reason: string;
  identity: string;
  address: string | null;
  requestId: string | null;
  userAgent: string | null;
}>()(({ db, p }) =>
  db
    .insertInto('event')
    .columns([
      'at',
      'kind',
      'repo',
      'digest',
      'tag',
      'actor',
      'reason',
      'identity',
      'address',
      'request_id',
      'user_agent',
    ])
    .expression(({ selectFrom }) =>
      selectFrom('purge_place')
        .select(({ ref }) => [
          sql<number>`cast(${p('at')} as bigint)`.as('at'),
          sql<EventKind>`${p('kind')}`.as('kind'),
          ref('repo').$castTo<RepositoryName>().as('repo'),
          ref('digest').$castTo<Digest>().as('digest'),
          sql<null>`nullif(${ref('name')}, ${''})`.as('tag'),
          sql<string>`${p('actor')}`.as('actor'),
          sql<string>`${p('reason')}`.as('reason'),
          sql<string>`${p('identity')}`.as('identity'),
          sql<string | null>`${p('address')}`.as('address'),
          sql<string | null>`${p('requestId')}`.as('request_id'),
          sql<string | null>`${p('userAgent')}`.as('user_agent'),
        ])
        .where('purge', '=', p('purge'))
        .where(({ eb, ref }) => eb(ref('kind').$castTo<string>(), '=', p('place'))),
    ),
);

/** The links of what the manifests needed beside are looked at: nothing may hold them any more. */
export const reviewLinksOfPurge = query<{ purge: number; now: number }>()(({ db, p, dialect }) =>
  db
    .insertInto('task')
    .columns(['kind', 'key1', 'key2', 'due_at'])
    .expression(({ selectFrom }) =>
      selectFrom('purge_place as place')
        .innerJoin('manifest_blob as edge', (join) =>
          join.onRef('edge.repo', '=', 'place.repo').onRef('edge.manifest', '=', 'place.digest'),
        )
        .select(({ ref }) => [
          sql<'link'>`${'link'}`.as('kind'),
          ref('edge.repo').$castTo<string>().as('key1'),
          ref('edge.digest').$castTo<string>().as('key2'),
          sql<number>`cast(${p('now')} as bigint)`.as('due_at'),
        ])
        .distinct()
        .where('place.purge', '=', p('purge'))
        .where('place.kind', '=', 'manifest')
        .where('edge.link_digest', 'is not', null),
    )
    .onConflict((conflict) =>
      conflict.columns(['kind', 'key1', 'key2']).doUpdateSet(({ ref, eb }) => ({
        due_at: dialect.least(ref('task.due_at'), ref('excluded.due_at')),
        version: eb('task.version', '+', 1),
      })),
    ),
);

/** The pins of the manifests and tags that it takes away. */
export const pinsOfPurge = query<{ purge: number }>()(({ db, p }) =>
  db
    .selectFrom('purge_place as place')
    .innerJoin('pin', (join) =>
      join
        .onRef('pin.repo', '=', 'place.repo')
        .on('pin.kind', '=', sql<PinTable['kind']>`place.kind`)
        .on('pin.name', '=', sql<string>`case when place.kind = ${'tag'} then place.name else place.digest end`),
    )
    .select(['pin.repo', 'pin.kind', 'pin.name'])
    .where('place.purge', '=', p('purge'))
    .where('place.kind', 'in', ['manifest', 'tag']),
);

/** Uploads that have ended, so that nobody is told any more that they brought it. */
export const deleteUploadsOfDigest = query<{ digest: Digest }>()(({ db, p }) =>
  db.deleteFrom('upload').where('result_digest', '=', p('digest')),
);

/** What is gone needs no review any more: not even the queue names it. */
export const deleteReviewsOfPurge = query<{ purge: number }>()(({ db, p }) =>
  db
    .deleteFrom('task')
    .where(
      ({ refTuple, selectFrom }) =>
        sql<boolean>`${refTuple('kind', 'key1', 'key2')} in ${selectFrom('purge_place')
          .select(['purge_place.kind', 'purge_place.repo', 'purge_place.digest'])
          .where('purge', '=', p('purge'))
          .where('kind', 'in', ['link', 'manifest'])}`,
    ),
);

export const deleteTagsOfPurge = query<{ purge: number }>()(({ db, p }) =>
  db
    .deleteFrom('tag')
    .where(
      ({ refTuple, selectFrom }) =>
        sql<boolean>`${refTuple('repo', 'name')} in ${selectFrom('purge_place')
          .select(['purge_place.repo', 'purge_place.name'])
          .where('purge', '=', p('purge'))
          .where('kind', '=', 'tag')}`,
    ),
);

export const deleteTrashedTagsOfPurge = query<{ purge: number }>()(({ db, p }) =>
  db
    .deleteFrom('tag_trash')
    .where(
      ({ refTuple, selectFrom }) =>
        sql<boolean>`${refTuple('repo', 'name', 'manifest')} in ${selectFrom('purge_place')
          .select(['purge_place.repo', 'purge_place.name', 'purge_place.digest'])
          .where('purge', '=', p('purge'))
          .where('kind', '=', 'trashed-tag')}`,
    ),
);

export const deleteBlobEdgesOfPurge = query<{ purge: number }>()(({ db, p }) =>
  db
    .deleteFrom('manifest_blob')
    .where(
      ({ refTuple, selectFrom }) =>
        sql<boolean>`${refTuple('repo', 'manifest')} in ${selectFrom('purge_place')
          .select(['purge_place.repo', 'purge_place.digest'])
          .where('purge', '=', p('purge'))
          .where('kind', '=', 'manifest')}`,
    ),
);

export const deleteChildEdgesOfPurge = query<{ purge: number }>()(({ db, p }) =>
  db
    .deleteFrom('manifest_child')
    .where(
      ({ refTuple, selectFrom }) =>
        sql<boolean>`${refTuple('repo', 'parent')} in ${selectFrom('purge_place')
          .select(['purge_place.repo', 'purge_place.digest'])
          .where('purge', '=', p('purge'))
          .where('kind', '=', 'manifest')}`,
    ),
);

export const deleteManifestsOfPurge = query<{ purge: number }>()(({ db, p }) =>
  db
    .deleteFrom('manifest')
    .where(
      ({ refTuple, selectFrom }) =>
        sql<boolean>`${refTuple('repo', 'digest')} in ${selectFrom('purge_place')
          .select(['purge_place.repo', 'purge_place.digest'])
          .where('purge', '=', p('purge'))
          .where('kind', '=', 'manifest')}`,
    ),
);

export const deleteLinksOfDigest = query<{ digest: Digest }>()(({ db, p }) =>
  db.deleteFrom('link').where('digest', '=', p('digest')),
);

/** live → dead: nothing links it any more (I8 exempts a purge from waiting). */
export const killLiveObject = query<{ digest: Digest }>()(({ db, p }) =>
  db.updateTable('object').set({ state: 'dead' }).where('live_digest', '=', p('digest')),
);

/** condemned → dead, without its delay; whatever was dead already is removed once more. */
export const killLeavingObjects = query<{ digest: Digest }>()(({ db, p }) =>
  db
    .updateTable('object')
    .set({ state: 'dead', due_at: null })
    .where('digest', '=', p('digest'))
    .where('live_digest', 'is', null),
);
