import type { Migration } from './migration.ts';

/**
 * What lets clients in that the registry itself has handed out. Secrets and refresh tokens are kept as SHA-256 only; the
 * keys that sign tokens have to be there whole.
 */
export const credentials: Migration = {
  number: 14,
  name: 'credentials',
  statements: ({ integer, clustered, text }) => [
    `create table robot (
      name ${text} not null primary key check (name <> ''),
      secret_hash ${text} not null,
      description ${text} not null,
      created_at ${integer} not null,
      created_by ${text} not null,
      expires_at ${integer},
      revoked_at ${integer},
      last_used_at ${integer}
    ) ${clustered}`,

    `create table signing_key (
      kid ${text} not null primary key,
      private_key ${text} not null,
      created_at ${integer} not null,
      retired_at ${integer}
    ) ${clustered}`,
    // One key signs at a time.
    `create unique index signing_key_in_use on signing_key ((retired_at is null)) where retired_at is null`,

    `create table refresh_token (
      token_hash ${text} not null primary key,
      kind ${text} not null check (kind in ('user', 'robot')),
      name ${text} not null check (name <> ''),
      identity ${text} not null,
      credential ${text} not null,
      service ${text} not null,
      client_id ${text} not null,
      created_at ${integer} not null,
      expires_at ${integer} not null,
      last_used_at ${integer} not null
    ) ${clustered}`,
    `create index refresh_token_account on refresh_token (kind, name, last_used_at)`,
    `create index refresh_token_end on refresh_token (expires_at)`,
  ],
};
