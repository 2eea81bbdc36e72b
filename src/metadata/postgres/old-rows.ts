import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientBase } from 'pg';
import { isConnectionLost } from './failures.ts';

/**
 * How long those are waited for that may still see older rows, and how often it is looked meanwhile, in ms. A standby says
 * what it reads every 10 s (wal_receiver_status_interval).
 */
const waiting = { mostMs: 12_000, lookMs: 50 };

/** How long the database may be at it, and how long its answer is waited for, in ms. */
export interface VacuumTimes {
  readonly statementMs: number;
  readonly answerMs: number;
}

/** The tables in whose rows a content may stand that clients have pushed. */
const tables = 'manifest';

const usualTimeout = 'reset statement_timeout';

/**
 * Has PostgreSQL give up the rows that transactions have removed or replaced which are committed by now. Where that
 * takes longer than it may, or nothing is heard any more of the connection, it fails, and is to be done again: a vacuum
 * passes over pages that one before it was through with.
 *
 * @returns false where somebody may see them for longer, such as a dump of the database, or a standby that says what it reads
 */
export async function forgetOldRows(
  client: ClientBase,
  { statementMs, answerMs }: VacuumTimes,
  { mostMs, lookMs } = waiting,
): Promise<boolean> {
  const { rows } = await client.query<{ next: string }>(
    'select pg_snapshot_xmax(pg_current_snapshot())::xid::text as next',
  );
  const [{ next } = { next: '0' }] = rows;
  for (const deadline = performance.now() + mostMs; await areSeen(client, next);) {
    if (performance.now() > deadline) return false;
    await sleep(lookMs);
  }
  const vacuum = { text: `vacuum ${tables}`, query_timeout: answerMs };
  await client.query(`set statement_timeout = ${statementMs}`);
  try {
    await client.query(vacuum);
  } catch (error) {
    if (!isConnectionLost(error)) await client.query(usualTimeout);
    throw error;
  }
  await client.query(usualTimeout);
  return true;
}

/**
 * Whether anybody keeps a state from before a transaction's number was given, so that a vacuum leaves the rows of it: who
 * looks at one or has begun to write in it, also a transaction that is prepared and waits for its commit, and a standby
 * that says what it reads (hot_standby_feedback), itself or by its slot, for all databases at once.
 */
async function areSeen(client: ClientBase, next: string): Promise<boolean> {
  const { rows } = await client.query<{ seen: boolean }>(
    `select exists (
       select from (
         select unnest(array[backend_xmin, backend_xid]) from pg_stat_activity
         where (datname = current_database() or datname is null) and pid <> pg_backend_pid()
         union all
         select transaction from pg_prepared_xacts where database = current_database()
         union all
         select xmin from pg_replication_slots
       ) as kept (state)
       where age(state) > age($1::text::xid)
     ) as seen`,
    [next],
  );
  return rows[0]?.seen !== false;
}
