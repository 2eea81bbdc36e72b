import type { ObjectState } from '../schema.ts';
import { query } from '../query.ts';

/** A row for each state that an object can have. */
export const storedByState = query<Record<never, never>>()(({ db }) =>
  db.selectFrom('stored').select(['state', 'objects', 'bytes']).orderBy('state'),
);

/** What the triggers should have come to. */
export const correctStored = query<{ state: ObjectState; objects: number; bytes: number }>()(({ db, p }) =>
  db
    .updateTable('stored')
    .set({ objects: p('objects'), bytes: p('bytes') })
    .where('state', '=', p('state')),
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
