import { query } from '../query.ts';

/** Up to which generation of the blob store the database knows. */
export const knownGeneration = query<Record<never, never>>()(({ db }) =>
  db.selectFrom('store').select('generation').where('id', '=', 1),
);

/** Begins the next one. */
export const raiseGeneration = query<Record<never, never>>()(({ db }) =>
  db
    .updateTable('store')
    .set(({ eb }) => ({ generation: eb('generation', '+', 1) }))
    .where('id', '=', 1)
    .returning('generation'),
);

/** The database counts as knowing the blobs up to a generation, whatever it does not know. */
export const acceptGeneration = query<{ generation: number }>()(({ db, p, dialect }) =>
  db
    .updateTable('store')
    .set(({ ref }) => ({ generation: dialect.greatest(ref('generation'), p('generation')) }))
    .where('id', '=', 1),
);
