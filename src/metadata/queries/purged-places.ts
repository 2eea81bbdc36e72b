import { sql } from 'kysely';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/names.ts';
import { query } from '../query.ts';
import type { PurgePlaceTable } from '../schema.ts';

// What a purge has found, read again once it has: by its record, and by the removal of bytes.

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
