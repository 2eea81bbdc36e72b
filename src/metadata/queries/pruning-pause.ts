import { query } from '../query.ts';

export const findPruningPause = query<Record<never, never>>()(({ db }) =>
  db.selectFrom('pruning_pause').select(['name', 'reason', 'paused_at', 'until']).where('name', '=', 'pruning'),
);

export const upsertPruningPause = query<{ reason: string; now: number; until: number }>()(({ db, p }) =>
  db
    .insertInto('pruning_pause')
    .values({ name: 'pruning', reason: p('reason'), paused_at: p('now'), until: p('until') })
    .onConflict((conflict) =>
      conflict.column('name').doUpdateSet({ reason: p('reason'), paused_at: p('now'), until: p('until') }),
    ),
);

export const deletePruningPause = query<Record<never, never>>()(({ db }) =>
  db.deleteFrom('pruning_pause').where('name', '=', 'pruning'),
);
