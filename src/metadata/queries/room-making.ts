import { query } from '../query.ts';

// Which process makes room, and how that stands.

export const findRoomMaking = query<Record<never, never>>()(({ db }) =>
  db.selectFrom('room_making').select(['process', 'stepped_at', 'state']).where('name', '=', 'room'),
);

/** It is this process from here on. */
export const takeRoomMaking = query<{ process: string | null }>()(({ db, p }) =>
  db
    .insertInto('room_making')
    .values({ name: 'room', process: p('process') })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ process: p('process') })),
);

/** Something is let go. Changes no row where another process makes room by now. */
export const markRoomStep = query<{ process: string | null; now: number }>()(({ db, p }) =>
  db
    .updateTable('room_making')
    .set({ stepped_at: p('now') })
    .where('name', '=', 'room')
    .where('process', 'is not distinct from', p('process')),
);

/** How it stands. Changes no row where another process makes room by now. */
export const setRoomState = query<{ process: string | null; state: string }>()(({ db, p }) =>
  db
    .updateTable('room_making')
    .set({ state: p('state') })
    .where('name', '=', 'room')
    .where('process', 'is not distinct from', p('process')),
);
