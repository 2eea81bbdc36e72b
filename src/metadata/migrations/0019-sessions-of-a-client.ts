import type { Migration } from './migration.ts';

/** Who has opened an upload session, so that those can be counted that one client has open. */
export const sessionsOfAClient: Migration = {
  number: 19,
  name: 'sessions of a client',
  statements: ({ text }) => [
    `alter table upload add column client ${text}`,
    `create index upload_client on upload (client) where client is not null and oid is not null`,
  ],
};
