import { sql } from 'kysely';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName, TagName } from '../../oci/names.ts';
import { query } from '../query.ts';
import type { ManifestTable, ObjectState, PurgePlaceKind, PurgePlaceTable } from '../schema.ts';

// Where a purge has found what it is for, written down by the statement that finds it: a purge of what a thousand images
// use shall not take thousands of statements.

const columns = [
  'purge',
  'kind',
  'repo',
  'digest',
  'name',
  'type',
  'state',
  'size_bytes',
  'last_pulled_at',
  'quarantined_repo',
] as const;

/** The objects of a digest, live or about to go. */
export const placeObjects = query<{ purge: number; digest: Digest }>()(({ db, p }) =>
  db
    .insertInto('purge_place')
    .columns(columns)
    .expression(({ selectFrom }) => {
      const found = selectFrom('object').select(({ ref }) => [
        sql<number>`cast(${p('purge')} as bigint)`.as('purge'),
        sql<PurgePlaceKind>`${'object'}`.as('kind'),
        sql<''>`${''}`.as('repo'),
        sql<Digest>`cast(${p('digest')} as text)`.as('digest'),
        ref('oid').as('name'),
        sql<null>`null`.as('type'),
        ref('state').$castTo<ObjectState>().as('state'),
        ref('size_bytes').as('size_bytes'),
        sql<null>`cast(null as bigint)`.as('last_pulled_at'),
        sql<null>`null`.as('quarantined_repo'),
      ]);
      return found
        .where('live_digest', '=', p('digest'))
        .unionAll(found.where('digest', '=', p('digest')).where('live_digest', 'is', null));
    })
    .onConflict((conflict) => conflict.doNothing()),
);

export const placeLinks = query<{ purge: number; digest: Digest }>()(({ db, p }) =>
  db
    .insertInto('purge_place')
    .columns(columns)
    .expression(({ selectFrom }) =>
      selectFrom('link')
        .select(({ ref }) => [
          sql<number>`cast(${p('purge')} as bigint)`.as('purge'),
          sql<PurgePlaceKind>`${'link'}`.as('kind'),
          ref('repo').as('repo'),
          ref('digest').as('digest'),
          sql<string>`${''}`.as('name'),
          sql<null>`null`.as('type'),
          sql<null>`null`.as('state'),
          sql<null>`null`.as('size_bytes'),
          sql<null>`null`.as('last_pulled_at'),
          sql<null>`null`.as('quarantined_repo'),
        ])
        .where('digest', '=', p('digest')),
    ),
);

/** An upload under way of which it is known what it holds. */
export const placeUpload = query<{
  purge: number;
  repo: RepositoryName;
  digest: Digest;
  id: string;
  size: number;
}>()(({ db, p }) =>
  db.insertInto('purge_place').values({
    purge: p('purge'),
    kind: 'upload',
    repo: p('repo'),
    digest: p('digest'),
    name: p('id'),
    size_bytes: p('size'),
  }),
);

/** A manifest as a place in quarantine; of a row of `manifest`. */
const manifestPlace = (purge: ReturnType<typeof sql<number>>) =>
  [
    purge.as('purge'),
    sql<PurgePlaceKind>`${'manifest'}`.as('kind'),
    sql<RepositoryName>`manifest.repo`.as('repo'),
    sql<Digest>`manifest.digest`.as('digest'),
    sql<string>`${''}`.as('name'),
    sql<ManifestTable['kind']>`manifest.kind`.as('type'),
    sql<ManifestTable['state']>`manifest.state`.as('state'),
    sql<number>`manifest.size_bytes`.as('size_bytes'),
    sql<number | null>`manifest.last_pulled_at`.as('last_pulled_at'),
    sql<RepositoryName>`manifest.repo`.as('quarantined_repo'),
  ] as const;

/** The manifests that need a blob, visible or in the trash, and whether it is here or absent. */
export const placeManifestsOfBlob = query<{ purge: number; digest: Digest }>()(({ db, p }) =>
  db
    .insertInto('purge_place')
    .columns(columns)
    .expression(({ selectFrom }) => {
      const needing = selectFrom('manifest_blob as edge')
        .innerJoin('manifest', (join) =>
          join.onRef('manifest.repo', '=', 'edge.repo').onRef('manifest.digest', '=', 'edge.manifest'),
        )
        .select(manifestPlace(sql<number>`cast(${p('purge')} as bigint)`));
      return needing
        .where('edge.link_digest', '=', p('digest'))
        .unionAll(needing.where('edge.digest', '=', p('digest')).where('edge.link_digest', 'is', null));
    })
    .onConflict((conflict) => conflict.doNothing()),
);

/** A manifest, visible or in the trash. */
export const placeManifest = query<{ purge: number; repo: RepositoryName; digest: Digest }>()(({ db, p }) =>
  db
    .insertInto('purge_place')
    .columns(columns)
    .expression(({ selectFrom }) =>
      selectFrom('manifest')
        .select(manifestPlace(sql<number>`cast(${p('purge')} as bigint)`))
        .where('repo', '=', p('repo'))
        .where('digest', '=', p('digest')),
    )
    .onConflict((conflict) => conflict.doNothing()),
);

/** The indexes that list a manifest while it is absent. */
export const placeIndexesLacking = query<{ purge: number; digest: Digest }>()(({ db, p }) =>
  db
    .insertInto('purge_place')
    .columns(columns)
    .expression(({ selectFrom }) =>
      selectFrom('manifest_child as edge')
        .innerJoin('manifest', (join) =>
          join.onRef('manifest.repo', '=', 'edge.repo').onRef('manifest.digest', '=', 'edge.parent'),
        )
        .select(manifestPlace(sql<number>`cast(${p('purge')} as bigint)`))
        .where('edge.child', '=', p('digest'))
        .where('edge.present_child', 'is', null),
    )
    .onConflict((conflict) => conflict.doNothing()),
);

/** The indexes that list a manifest which is a place already; as often as it finds any. */
export const placeParents = query<{ purge: number }>()(({ db, p }) =>
  db
    .insertInto('purge_place')
    .columns(columns)
    .expression(({ selectFrom }) =>
      selectFrom('purge_place as place')
        .innerJoin('manifest_child as edge', (join) =>
          join.onRef('edge.present_child', '=', 'place.digest').onRef('edge.repo', '=', 'place.repo'),
        )
        .innerJoin('manifest', (join) =>
          join.onRef('manifest.repo', '=', 'edge.repo').onRef('manifest.digest', '=', 'edge.parent'),
        )
        .select(manifestPlace(sql<number>`cast(${p('purge')} as bigint)`))
        .where('place.purge', '=', p('purge'))
        .where('place.kind', '=', 'manifest'),
    )
    .onConflict((conflict) => conflict.doNothing()),
);

/** The same of indexes that were pushed while the manifest was not there, or in the trash. */
export const placeParentsLacking = query<{ purge: number }>()(({ db, p }) =>
  db
    .insertInto('purge_place')
    .columns(columns)
    .expression(({ selectFrom }) =>
      selectFrom('purge_place as place')
        .innerJoin('manifest_child as edge', (join) =>
          join
            .onRef('edge.child', '=', 'place.digest')
            .onRef('edge.repo', '=', 'place.repo')
            .on('edge.present_child', 'is', null),
        )
        .innerJoin('manifest', (join) =>
          join.onRef('manifest.repo', '=', 'edge.repo').onRef('manifest.digest', '=', 'edge.parent'),
        )
        .select(manifestPlace(sql<number>`cast(${p('purge')} as bigint)`))
        .where('place.purge', '=', p('purge'))
        .where('place.kind', '=', 'manifest'),
    )
    .onConflict((conflict) => conflict.doNothing()),
);

/** What has a manifest as its subject that is a place already, and is none itself. */
export const referrersOfPlaces = query<{ purge: number }>()(({ db, p }) =>
  db
    .selectFrom('purge_place as place')
    .innerJoin('manifest', (join) =>
      join.onRef('manifest.repo', '=', 'place.repo').onRef('manifest.subject', '=', 'place.digest'),
    )
    .select(['manifest.repo', 'manifest.digest'])
    .where('place.purge', '=', p('purge'))
    .where('place.kind', '=', 'manifest')
    .where(({ exists, not, selectFrom: from }) =>
      not(
        exists(
          from('purge_place as hit')
            .select('hit.digest')
            .where('hit.purge', '=', p('purge'))
            .where('hit.kind', '=', 'manifest')
            .whereRef('hit.repo', '=', 'manifest.repo')
            .whereRef('hit.digest', '=', 'manifest.digest'),
        ),
      ),
    ),
);

/** The tags that lead to a manifest which is a place. */
export const placeTags = query<{ purge: number }>()(({ db, p }) =>
  db
    .insertInto('purge_place')
    .columns(columns)
    .expression(({ selectFrom }) =>
      selectFrom('purge_place as place')
        .innerJoin('tag', (join) =>
          join.onRef('tag.repo', '=', 'place.repo').onRef('tag.manifest', '=', 'place.digest'),
        )
        .select(({ ref }) => [
          sql<number>`cast(${p('purge')} as bigint)`.as('purge'),
          sql<PurgePlaceKind>`${'tag'}`.as('kind'),
          ref('tag.repo').as('repo'),
          ref('tag.manifest').as('digest'),
          ref('tag.name').as('name'),
          sql<null>`null`.as('type'),
          sql<null>`null`.as('state'),
          sql<null>`null`.as('size_bytes'),
          ref('tag.last_pulled_at').as('last_pulled_at'),
          ref('tag.repo').as('quarantined_repo'),
        ])
        .where('place.purge', '=', p('purge'))
        .where('place.kind', '=', 'manifest'),
    ),
);

/** What deleted and moved tags led to. */
export const placeTrashedTags = query<{ purge: number }>()(({ db, p }) =>
  db
    .insertInto('purge_place')
    .columns(columns)
    .expression(({ selectFrom }) =>
      selectFrom('purge_place as place')
        .innerJoin('tag_trash', (join) =>
          join.onRef('tag_trash.manifest', '=', 'place.digest').onRef('tag_trash.repo', '=', 'place.repo'),
        )
        .select(({ ref }) => [
          sql<number>`cast(${p('purge')} as bigint)`.as('purge'),
          sql<PurgePlaceKind>`${'trashed-tag'}`.as('kind'),
          ref('tag_trash.repo').as('repo'),
          ref('tag_trash.manifest').as('digest'),
          ref('tag_trash.name').as('name'),
          sql<null>`null`.as('type'),
          sql<null>`null`.as('state'),
          sql<null>`null`.as('size_bytes'),
          sql<null>`null`.as('last_pulled_at'),
          sql<null>`null`.as('quarantined_repo'),
        ])
        .where('place.purge', '=', p('purge'))
        .where('place.kind', '=', 'manifest'),
    ),
);

/** The places of a purge after one of them. */
export const placesAfter = query<{
  purge: number;
  kind: string;
  repo: string;
  digest: string;
  name: string;
  limit: number;
}>()(({ db, p }) =>
  db
    .selectFrom('purge_place')
    .select([
      'purge',
      'kind',
      'repo',
      'digest',
      'name',
      'type',
      'state',
      'size_bytes',
      'last_pulled_at',
      'pulls',
      'shredded',
      'shredded_words',
      'quarantined_repo',
    ])
    .where('purge', '=', p('purge'))
    .where(
      ({ ref }) =>
        sql<boolean>`(${ref('kind')}, ${ref('repo')}, ${ref('digest')}, ${ref('name')}) > (${p('kind')}, ${p('repo')}, ${p('digest')}, ${p('name')})`,
    )
    .orderBy('kind')
    .orderBy('repo')
    .orderBy('digest')
    .orderBy('name')
    .limit(p('limit')),
);

/** How many places of each kind a purge has found, and their bytes. */
export const countPlaces = query<{ purge: number }>()(({ db, p }) =>
  db
    .selectFrom('purge_place')
    .select(({ fn }) => ['kind', fn.countAll<number>().as('count'), fn.sum<number | null>('size_bytes').as('bytes')])
    .where('purge', '=', p('purge'))
    .groupBy('kind')
    .orderBy('kind'),
);

/** Those objects of a purge whose rows are still there: their bytes may be. */
export const objectsLeftOf = query<{ purge: number }>()(({ db, p }) =>
  db
    .selectFrom('purge_place as place')
    .innerJoin('object', 'object.oid', 'place.name')
    .select(['object.oid', 'place.shredded'])
    .where('place.purge', '=', p('purge'))
    .where('place.kind', '=', 'object'),
);

/** What came of overwriting an object. */
export const recordShredded = query<{ purge: number; oid: string; outcome: string; words: string }>()(({ db, p }) =>
  db
    .updateTable('purge_place')
    .set({ shredded: sql<PurgePlaceTable['shredded']>`${p('outcome')}`, shredded_words: p('words') })
    .where('purge', '=', p('purge'))
    .where('kind', '=', 'object')
    .where('name', '=', p('oid')),
);

/** Whether a manifest was purged itself, not for what it needs. */
export const anyManifestPurged = query<{ purge: number }>()(({ db, p }) =>
  db
    .selectFrom('purge_digest as named')
    .innerJoin('purge_place as place', (join) =>
      join
        .onRef('place.purge', '=', 'named.purge')
        .on('place.kind', '=', 'manifest')
        .onRef('place.digest', '=', 'named.digest'),
    )
    .select('place.digest')
    .where('named.purge', '=', p('purge'))
    .limit(1),
);

/** Whether a purge has found something of a digest in a repository: one purge may be for several. */
export const anyPlaceInRepository = query<{ purge: number; repo: RepositoryName; digest: Digest }>()(({ db, p }) =>
  db
    .selectFrom('purge_place')
    .select('kind')
    .where('purge', '=', p('purge'))
    .where('kind', 'in', ['link', 'manifest', 'tag', 'trashed-tag', 'upload'])
    .where('repo', '=', p('repo'))
    .where('digest', '=', p('digest'))
    .limit(1),
);

/** Which purge has taken a manifest; undefined where it may be pushed, or is here. */
export const quarantineOfManifest = query<{ repo: RepositoryName; digest: Digest }>()(({ db, p }) =>
  db
    .selectFrom('purge_place')
    .innerJoin('purge', 'purge.id', 'purge_place.purge')
    .select(['purge.id', 'purge.at', 'purge.reason'])
    .where('quarantined_repo', '=', p('repo'))
    .where('name', '=', '')
    .where('digest', '=', p('digest'))
    .limit(1),
);

/** The same of what a tag led to. */
export const quarantineOfTag = query<{ repo: RepositoryName; tag: TagName }>()(({ db, p }) =>
  db
    .selectFrom('purge_place')
    .innerJoin('purge', 'purge.id', 'purge_place.purge')
    .select(['purge.id', 'purge.at', 'purge.reason', 'purge_place.digest'])
    .where('quarantined_repo', '=', p('repo'))
    .where('name', '=', p('tag'))
    .limit(1),
);

/** A manifest has come again. */
export const releaseManifestFromQuarantine = query<{ repo: RepositoryName; digest: Digest }>()(({ db, p }) =>
  db
    .updateTable('purge_place')
    .set({ quarantined_repo: null })
    .where('quarantined_repo', '=', p('repo'))
    .where('name', '=', '')
    .where('digest', '=', p('digest')),
);

/** A tag leads to something again. */
export const releaseTagFromQuarantine = query<{ repo: RepositoryName; tag: TagName }>()(({ db, p }) =>
  db
    .updateTable('purge_place')
    .set({ quarantined_repo: null })
    .where('quarantined_repo', '=', p('repo'))
    .where('name', '=', p('tag')),
);

/** Nothing keeps the content of a purge out any more. */
export const releaseAllFromQuarantine = query<{ purge: number }>()(({ db, p }) =>
  db
    .updateTable('purge_place')
    .set({ quarantined_repo: null })
    .where('purge', '=', p('purge'))
    .where('quarantined_repo', 'is not', null),
);

/** How often a manifest was pulled on some days, by whatever name. */
export const pullsOnDays = query<{ repo: RepositoryName; digest: Digest; days: readonly string[] }>()(
  ({ db, p, dialect }) =>
    db
      .selectFrom(dialect.rowsOf(p('days')).as('wanted'))
      .innerJoin('pull_history', (join) =>
        join
          .on(({ eb, ref }) => eb(ref('pull_history.day'), '=', sql<number>`cast(${ref('wanted.value')} as bigint)`))
          .on('pull_history.repo', '=', p('repo'))
          .on('pull_history.digest', '=', p('digest')),
      )
      .select(({ fn }) => [fn.sum<number | null>('pulls').as('pulls'), fn.max('last_at').as('last_at')]),
);

/** A pull of a manifest, or of a tag, that was written down only when a purge had taken it. */
export const recordPurgedPull = query<{ repo: RepositoryName; digest: Digest; name: TagName | ''; at: number }>()(
  ({ db, p, dialect }) =>
    db
      .updateTable('purge_place')
      .set(({ ref, fn }) => ({
        last_pulled_at: dialect.greatest(fn.coalesce(ref('last_pulled_at'), p('at')), p('at')),
      }))
      .where('quarantined_repo', '=', p('repo'))
      .where('name', '=', p('name'))
      .where('digest', '=', p('digest')),
);

/** Writes down how often a manifest that was purged had been pulled. */
export const recordPlacePulls = query<{
  purge: number;
  repo: RepositoryName;
  digest: Digest;
  pulls: number;
  lastAt: number | null;
}>()(({ db, p }) =>
  db
    .updateTable('purge_place')
    .set(({ fn, ref }) => ({ pulls: p('pulls'), last_pulled_at: fn.coalesce(p('lastAt'), ref('last_pulled_at')) }))
    .where('purge', '=', p('purge'))
    .where('kind', '=', 'manifest')
    .where('repo', '=', p('repo'))
    .where('digest', '=', p('digest'))
    .where('name', '=', ''),
);
