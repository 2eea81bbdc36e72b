import { query } from '../query.ts';
import type { RefreshTokenTable } from '../schema.ts';

export const insertRefreshToken = query<{
  tokenHash: string;
  kind: RefreshTokenTable['kind'];
  name: string;
  identity: string;
  credential: string;
  service: string;
  clientId: string;
  now: number;
  expiresAt: number;
}>()(({ db, p }) =>
  db.insertInto('refresh_token').values({
    token_hash: p('tokenHash'),
    kind: p('kind'),
    name: p('name'),
    identity: p('identity'),
    credential: p('credential'),
    service: p('service'),
    client_id: p('clientId'),
    created_at: p('now'),
    expires_at: p('expiresAt'),
    last_used_at: p('now'),
  }),
);

export const findRefreshToken = query<{ tokenHash: string }>()(({ db, p }) =>
  db
    .selectFrom('refresh_token')
    .select([
      'token_hash',
      'kind',
      'name',
      'identity',
      'credential',
      'service',
      'client_id',
      'created_at',
      'expires_at',
      'last_used_at',
    ])
    .where('token_hash', '=', p('tokenHash')),
);

export const touchRefreshToken = query<{ tokenHash: string; now: number }>()(({ db, p }) =>
  db
    .updateTable('refresh_token')
    .set({ last_used_at: p('now') })
    .where('token_hash', '=', p('tokenHash')),
);

export const deleteRefreshToken = query<{ tokenHash: string }>()(({ db, p }) =>
  db.deleteFrom('refresh_token').where('token_hash', '=', p('tokenHash')),
);

/** All of an account. */
export const deleteRefreshTokensOf = query<{ kind: RefreshTokenTable['kind']; name: string }>()(({ db, p }) =>
  db.deleteFrom('refresh_token').where('kind', '=', p('kind')).where('name', '=', p('name')),
);

/** Who has some, by name. */
export const refreshTokenHolders = query<{ kind: RefreshTokenTable['kind']; after: string; limit: number }>()(
  ({ db, p }) =>
    db
      .selectFrom('refresh_token')
      .select('name')
      .distinct()
      .where('kind', '=', p('kind'))
      .where('name', '>', p('after'))
      .orderBy('name')
      .limit(p('limit')),
);

/** All of an account but the `kept` that were used last, some at a time. */
export const deleteIdleRefreshTokens = query<{
  kind: RefreshTokenTable['kind'];
  name: string;
  kept: number;
  limit: number;
}>()(({ db, p }) =>
  db
    .deleteFrom('refresh_token')
    .where('token_hash', 'in', ({ selectFrom }) =>
      selectFrom('refresh_token as idle')
        .select('idle.token_hash')
        .where('idle.kind', '=', p('kind'))
        .where('idle.name', '=', p('name'))
        .orderBy('idle.last_used_at', 'desc')
        .limit(p('limit'))
        .offset(p('kept')),
    ),
);

/** Those that are over, some at a time. */
export const deleteEndedRefreshTokens = query<{ now: number; limit: number }>()(({ db, p }) =>
  db
    .deleteFrom('refresh_token')
    .where('token_hash', 'in', ({ selectFrom }) =>
      selectFrom('refresh_token as ended')
        .select('ended.token_hash')
        .where('ended.expires_at', '<=', p('now'))
        .orderBy('ended.expires_at')
        .limit(p('limit')),
    ),
);
