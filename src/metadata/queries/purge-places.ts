import { sql } from 'kysely';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/names.ts';
import { query } from '../query.ts';
import type { ManifestTable, ObjectState, PurgePlaceKind } from '../schema.ts';

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
