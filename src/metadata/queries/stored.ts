import type { ObjectState } from '../schema.ts';
import { query } from '../query.ts';

/** A row for each state that an object can have. */
export const storedByState = query<Record<never, never>>()(({ db }) =>
  db
    .selectFrom('stored')
    .select(({ fn }) => ['state', fn.sum<number>('objects').as('objects'), fn.sum<number>('bytes').as('bytes')])
    .groupBy('state')
    .orderBy('state'),
);

/** Adds to what the triggers have come to, or takes away from it. */
export const addStored = query<{ state: ObjectState; shard: number; objects: number; bytes: number }>()(({ db, p }) =>
  db
    .insertInto('stored')
    .values({ state: p('state'), shard: p('shard'), objects: p('objects'), bytes: p('bytes') })
    .onConflict((conflict) =>
      conflict.columns(['state', 'shard']).doUpdateSet(({ eb }) => ({
        objects: eb('stored.objects', '+', p('objects')),
        bytes: eb('stored.bytes', '+', p('bytes')),
      })),
    ),
);

/** How far the uploads under way have come, after one of them, by their objects. */
export const openUploadsAfter = query<{ after: string; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('upload')
    .select(['oid', 'offset_bytes'])
    .where('oid', 'is not', null)
    .where(({ eb, ref }) => eb(ref('oid').$castTo<string>(), '>', p('after')))
    .orderBy('oid')
    .limit(p('limit')),
);
