import { query } from '../query.ts';

const columns = ['kid', 'private_key', 'created_at', 'retired_at'] as const;

/** The key that signs. */
export const signingKeyInUse = query<Record<never, never>>()(({ db }) =>
  db.selectFrom('signing_key').select(columns).where('retired_at', 'is', null),
);

export const findSigningKey = query<{ kid: string }>()(({ db, p }) =>
  db.selectFrom('signing_key').select(columns).where('kid', '=', p('kid')),
);

export const insertSigningKey = query<{ kid: string; privateKey: string; now: number }>()(({ db, p }) =>
  db.insertInto('signing_key').values({ kid: p('kid'), private_key: p('privateKey'), created_at: p('now') }),
);

/** The key that signs signs no more. */
export const retireSigningKey = query<{ kid: string; now: number }>()(({ db, p }) =>
  db
    .updateTable('signing_key')
    .set({ retired_at: p('now') })
    .where('kid', '=', p('kid')),
);

/** Keys whose last tokens are over. */
export const deleteOldSigningKeys = query<{ retiredBefore: number }>()(({ db, p }) =>
  db.deleteFrom('signing_key').where('retired_at', '<', p('retiredBefore')),
);
