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

/** Which registry the database is, and whether that was left beside the blobs. */
export const knownIdentity = query<Record<never, never>>()(({ db }) =>
  db.selectFrom('store').select(['identity', 'identity_left as isLeft']).where('id', '=', 1),
);

/** Gives the registry an id, unless it has one. */
export const chooseIdentity = query<{ identity: string }>()(({ db, p }) =>
  db
    .updateTable('store')
    .set(({ fn, ref }) => ({ identity: fn.coalesce(ref('identity'), p('identity')) }))
    .where('id', '=', 1)
    .returning('identity'),
);

/** Its id lies beside the blobs from now on. */
export const leaveIdentity = query<Record<never, never>>()(({ db }) =>
  db.updateTable('store').set({ identity_left: 1 }).where('id', '=', 1),
);
