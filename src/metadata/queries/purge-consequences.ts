import { sql } from 'kysely';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName, TagName } from '../../oci/names.ts';
import { query } from '../query.ts';
import type { PurgeConsequenceKind } from '../schema.ts';

// What loses by a purge what held it, and is none of its places: written down by the statement that finds it.

const columns = ['purge', 'kind', 'repo', 'digest', 'tag', 'of_digest'] as const;

/** What the indexes list that a purge takes away. */
export const noteChildren = query<{ purge: number }>()(({ db, p }) =>
  db
    .insertInto('purge_consequence')
    .columns(columns)
    .expression(({ selectFrom }) =>
      selectFrom('purge_place as place')
        .innerJoin('manifest_child as edge', (join) =>
          join.onRef('edge.repo', '=', 'place.repo').onRef('edge.parent', '=', 'place.digest'),
        )
        .select(({ ref }) => [
          sql<number>`${p('purge')}`.as('purge'),
          sql<PurgeConsequenceKind>`${'child'}`.as('kind'),
          ref('edge.repo').as('repo'),
          ref('edge.child').as('digest'),
          sql<''>`${''}`.as('tag'),
          ref('edge.parent').as('of_digest'),
        ])
        .where('place.purge', '=', p('purge'))
        .where('place.kind', '=', 'manifest')
        .where('edge.present_child', 'is not', null)
        .where(({ exists, not, selectFrom: from }) =>
          not(
            exists(
              from('purge_place as hit')
                .select('hit.digest')
                .where('hit.purge', '=', p('purge'))
                .where('hit.kind', '=', 'manifest')
                .whereRef('hit.repo', '=', 'edge.repo')
                .whereRef('hit.digest', '=', 'edge.child'),
            ),
          ),
        ),
    ),
);

/** What refers to the manifests that it takes away. */
export const noteReferrers = query<{ purge: number }>()(({ db, p }) =>
  db
    .insertInto('purge_consequence')
    .columns(columns)
    .expression(({ selectFrom }) =>
      selectFrom('purge_place as place')
        .innerJoin('manifest', (join) =>
          join.onRef('manifest.repo', '=', 'place.repo').onRef('manifest.subject', '=', 'place.digest'),
        )
        .select(({ ref }) => [
          sql<number>`${p('purge')}`.as('purge'),
          sql<PurgeConsequenceKind>`${'referrer'}`.as('kind'),
          ref('manifest.repo').as('repo'),
          ref('manifest.digest').as('digest'),
          sql<''>`${''}`.as('tag'),
          sql<Digest>`place.digest`.as('of_digest'),
        ])
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
    ),
);

/** The tags by which older clients keep what is about those manifests, that end in one of the suffixes of those. */
export const noteTagsAbout = query<{ purge: number; suffix: string }>()(({ db, p }) =>
  db
    .insertInto('purge_consequence')
    .columns(columns)
    .expression(({ selectFrom }) =>
      selectFrom('purge_place as place')
        .innerJoin('tag', (join) =>
          join
            .onRef('tag.repo', '=', 'place.repo')
            .on(
              ({ ref }) =>
                sql<boolean>`${ref('tag.name')} = replace(${ref('place.digest')}, ${':'}, ${'-'}) || ${p('suffix')}`,
            ),
        )
        .select(({ ref }) => [
          sql<number>`${p('purge')}`.as('purge'),
          sql<PurgeConsequenceKind>`${'tag-about'}`.as('kind'),
          ref('tag.repo').as('repo'),
          ref('tag.manifest').as('digest'),
          ref('tag.name').$castTo<string>().as('tag'),
          sql<Digest>`place.digest`.as('of_digest'),
        ])
        .where('place.purge', '=', p('purge'))
        .where('place.kind', '=', 'manifest')
        .where(({ exists, not, selectFrom: from }) =>
          not(
            exists(
              from('purge_place as hit')
                .select('hit.digest')
                .where('hit.purge', '=', p('purge'))
                .where('hit.kind', '=', 'manifest')
                .whereRef('hit.repo', '=', 'tag.repo')
                .whereRef('hit.digest', '=', 'tag.manifest'),
            ),
          ),
        ),
    ),
);

/** Some of what a purge has loosened, after one of them. */
export const consequencesAfter = query<{
  purge: number;
  kind: string;
  repo: string;
  digest: string;
  tag: string;
  of: string;
  limit: number;
}>()(({ db, p }) =>
  db
    .selectFrom('purge_consequence')
    .select(['purge', 'kind', 'repo', 'digest', 'tag', 'of_digest', 'held_by'])
    .where('purge', '=', p('purge'))
    .where(
      ({ ref }) =>
        sql<boolean>`(${ref('kind')}, ${ref('repo')}, ${ref('digest')}, ${ref('tag')}, ${ref('of_digest')}) > (${p('kind')}, ${p('repo')}, ${p('digest')}, ${p('tag')}, ${p('of')})`,
    )
    .orderBy('kind')
    .orderBy('repo')
    .orderBy('digest')
    .orderBy('tag')
    .orderBy('of_digest')
    .limit(p('limit')),
);

/** Writes down what becomes of something. */
export const noteConsequence = query<{
  purge: number;
  kind: PurgeConsequenceKind;
  repo: RepositoryName;
  digest: Digest;
  tag: TagName | '';
  of: Digest;
  heldBy: string | null;
}>()(({ db, p }) =>
  db
    .insertInto('purge_consequence')
    .values({
      purge: p('purge'),
      kind: p('kind'),
      repo: p('repo'),
      digest: p('digest'),
      tag: p('tag'),
      of_digest: p('of'),
      held_by: p('heldBy'),
    })
    .onConflict((conflict) =>
      conflict
        .columns(['purge', 'kind', 'repo', 'digest', 'tag', 'of_digest'])
        .doUpdateSet(({ ref }) => ({ held_by: ref('excluded.held_by') })),
    ),
);

/** The manifests of which a purge takes away the tags that are about them. */
export const subjectsOfTagsAbout = query<{ purge: number }>()(({ db, p }) =>
  db
    .selectFrom('purge_consequence')
    .select(['repo', 'of_digest'])
    .where('purge', '=', p('purge'))
    .where('kind', '=', 'tag-about'),
);

/** The manifests that a purge loosens, but for those to which tags lead that it takes away. */
export const loosenedManifests = query<{ purge: number }>()(({ db, p }) =>
  db
    .selectFrom('purge_consequence')
    .select(['repo', 'digest'])
    .where('purge', '=', p('purge'))
    .where('kind', 'in', ['child', 'referrer']),
);
