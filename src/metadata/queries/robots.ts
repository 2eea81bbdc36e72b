import { query } from '../query.ts';

const columns = [
  'name',
  'secret_hash',
  'description',
  'created_at',
  'created_by',
  'expires_at',
  'revoked_at',
  'last_used_at',
] as const;

export const findRobot = query<{ name: string }>()(({ db, p }) =>
  db.selectFrom('robot').select(columns).where('name', '=', p('name')),
);

/** The robots after one of them, by name. */
export const robotsAfter = query<{ name: string; limit: number }>()(({ db, p }) =>
  db.selectFrom('robot').select(columns).where('name', '>', p('name')).orderBy('name').limit(p('limit')),
);

/** Makes a robot, in the place of one of that name that is revoked or over. */
export const upsertRobot = query<{
  name: string;
  secretHash: string;
  description: string;
  now: number;
  createdBy: string;
  expiresAt: number | null;
}>()(({ db, p }) =>
  db
    .insertInto('robot')
    .values({
      name: p('name'),
      secret_hash: p('secretHash'),
      description: p('description'),
      created_at: p('now'),
      created_by: p('createdBy'),
      expires_at: p('expiresAt'),
    })
    .onConflict((conflict) =>
      conflict.column('name').doUpdateSet({
        secret_hash: p('secretHash'),
        description: p('description'),
        created_at: p('now'),
        created_by: p('createdBy'),
        expires_at: p('expiresAt'),
        revoked_at: null,
        last_used_at: null,
      }),
    ),
);

export const changeRobotSecret = query<{ name: string; secretHash: string; expiresAt: number | null }>()(({ db, p }) =>
  db
    .updateTable('robot')
    .set({ secret_hash: p('secretHash'), expires_at: p('expiresAt') })
    .where('name', '=', p('name')),
);

export const revokeRobotRow = query<{ name: string; now: number }>()(({ db, p }) =>
  db
    .updateTable('robot')
    .set({ revoked_at: p('now') })
    .where('name', '=', p('name')),
);

export const touchRobot = query<{ name: string; now: number }>()(({ db, p }) =>
  db
    .updateTable('robot')
    .set({ last_used_at: p('now') })
    .where('name', '=', p('name')),
);
