import { query } from '../query.ts';

export const findReadOnly = query<Record<never, never>>()(({ db }) =>
  db
    .selectFrom('read_only')
    .select(['name', 'reason', 'set_by', 'set_at', 'token', 'until', 'moved_to'])
    .where('name', '=', 'registry'),
);

/** Sets it, whatever was set before. */
export const upsertReadOnly = query<{
  reason: string;
  setBy: string;
  now: number;
  token: string;
  until: number | null;
  movedTo: string | null;
}>()(({ db, p }) =>
  db
    .insertInto('read_only')
    .values({
      name: 'registry',
      reason: p('reason'),
      set_by: p('setBy'),
      set_at: p('now'),
      token: p('token'),
      until: p('until'),
      moved_to: p('movedTo'),
    })
    .onConflict((conflict) =>
      conflict.column('name').doUpdateSet(({ ref }) => ({
        reason: ref('excluded.reason'),
        set_by: ref('excluded.set_by'),
        set_at: ref('excluded.set_at'),
        token: ref('excluded.token'),
        until: ref('excluded.until'),
        moved_to: ref('excluded.moved_to'),
      })),
    ),
);

/** Gives it a later end, if it is still who has set it. */
export const renewReadOnly = query<{ token: string; until: number }>()(({ db, p }) =>
  db
    .updateTable('read_only')
    .set({ until: p('until') })
    .where('name', '=', 'registry')
    .where('token', '=', p('token'))
    .where('until', 'is not', null),
);

export const deleteReadOnly = query<Record<never, never>>()(({ db }) =>
  db.deleteFrom('read_only').where('name', '=', 'registry'),
);
