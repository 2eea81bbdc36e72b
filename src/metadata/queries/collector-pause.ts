import { query } from '../query.ts';

export const findCollectorPause = query<Record<never, never>>()(({ db }) =>
  db.selectFrom('collector_pause').select(['name', 'reason', 'paused_by', 'paused_at']).where('name', '=', 'collector'),
);

export const insertCollectorPause = query<{ reason: string; pausedBy: string; now: number }>()(({ db, p }) =>
  db
    .insertInto('collector_pause')
    .values({ name: 'collector', reason: p('reason'), paused_by: p('pausedBy'), paused_at: p('now') })
    .onConflict((conflict) =>
      conflict.column('name').doUpdateSet({ reason: p('reason'), paused_by: p('pausedBy'), paused_at: p('now') }),
    ),
);

export const deleteCollectorPause = query<Record<never, never>>()(({ db }) =>
  db.deleteFrom('collector_pause').where('name', '=', 'collector'),
);
