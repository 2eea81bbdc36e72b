import type { RepositoryName } from '../../oci/names.ts';
import { query } from '../query.ts';

/** Adds to what was pruned of a repository in an hour. */
export const addPruned = query<{ repo: RepositoryName; hour: number; tags: number; bytes: number }>()(({ db, p }) =>
  db
    .insertInto('pruned_hour')
    .values({ repo: p('repo'), hour: p('hour'), tags: p('tags'), bytes: p('bytes') })
    .onConflict((conflict) =>
      conflict.columns(['repo', 'hour']).doUpdateSet(({ eb }) => ({
        tags: eb('pruned_hour.tags', '+', p('tags')),
        bytes: eb('pruned_hour.bytes', '+', p('bytes')),
      })),
    ),
);

/** What was pruned of a repository in the hours from one to another, and the first of them. */
export const prunedBetween = query<{ repo: RepositoryName; hour: number; last: number }>()(({ db, p }) =>
  db
    .selectFrom('pruned_hour')
    .select(({ fn }) => [
      fn.sum<number | null>('tags').as('tags'),
      fn.sum<number | null>('bytes').as('bytes'),
      fn.min('hour').as('first_hour'),
    ])
    .where('repo', '=', p('repo'))
    .where('hour', '>=', p('hour'))
    .where('hour', '<=', p('last')),
);

/** Forgets the hours of a repository before one. */
export const deletePrunedBefore = query<{ repo: RepositoryName; hour: number }>()(({ db, p }) =>
  db.deleteFrom('pruned_hour').where('repo', '=', p('repo')).where('hour', '<', p('hour')),
);
