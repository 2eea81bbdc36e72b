import { query } from '../query.ts';

/** What a transaction that writes looks at as it begins: why the registry is read-only, and which quotas are in force. One row. */
export const begunState = query<Record<never, never>>()(({ db }) =>
  db.selectNoFrom(({ selectFrom }) => [
    selectFrom('read_only').select('reason').where('name', '=', 'registry').as('read_only_reason'),
    selectFrom('quota_set').select('revision').where('name', '=', 'registry').as('quota_revision'),
  ]),
);
