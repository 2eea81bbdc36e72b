import { query } from '../query.ts';

/** Rules of the configuration as they were at the last start. */
export const rulesInForce = query<object>()(({ db }) =>
  db.selectFrom('rules_in_force').select(['name', 'hash', 'settings']),
);

export const upsertRules = query<{ name: string; hash: string; settings: string | null }>()(({ db, p }) =>
  db
    .insertInto('rules_in_force')
    .values({ name: p('name'), hash: p('hash'), settings: p('settings') })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ hash: p('hash'), settings: p('settings') })),
);

export const deleteRules = query<{ name: string }>()(({ db, p }) =>
  db.deleteFrom('rules_in_force').where('name', '=', p('name')),
);
