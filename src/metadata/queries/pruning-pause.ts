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

/** Believes the clock, for all processes: the row stays, so that those which have noticed it being set see that. */
export const overrulePruningPause = query<{ overruled: number }>()(({ db, p }) =>
  db
    .updateTable('pruning_pause')
    .set({ until: p('overruled') })
    .where('name', '=', 'pruning')
    .where('until', '<>', p('overruled')),
);

/** It is over; one that was overruled stays so. */
export const deletePruningPause = query<{ overruled: number }>()(({ db, p }) =>
  db.deleteFrom('pruning_pause').where('name', '=', 'pruning').where('until', '<>', p('overruled')),
);
