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
