import { query } from '../query.ts';

export const insertStorageSample = query<{ at: number; storedBytes: number; diskUsedBytes: number }>()(({ db, p }) =>
  db
    .insertInto('storage_sample')
    .values({ at: p('at'), stored_bytes: p('storedBytes'), disk_used_bytes: p('diskUsedBytes') })
    .onConflict((conflict) => conflict.column('at').doNothing()),
);

/** The newest first. */
export const storageSamplesSince = query<{ since: number; limit: number }>()(({ db, p }) =>
  db
    .selectFrom('storage_sample')
    .select(['at', 'stored_bytes', 'disk_used_bytes'])
    .where('at', '>=', p('since'))
    .orderBy('at', 'desc')
    .limit(p('limit')),
);

export const deleteOldStorageSamples = query<{ before: number }>()(({ db, p }) =>
  db.deleteFrom('storage_sample').where('at', '<', p('before')),
);
