import { query } from '../query.ts';

/** Says that the database cannot have lost a commit from here on. What somebody else says at the same time is left. */
export const beginIncarnation = query<{ id: string }>()(({ db, p }) =>
  db
    .insertInto('incarnation')
    .values({ name: 'database', id: p('id') })
    .onConflict((conflict) => conflict.doNothing()),
);
