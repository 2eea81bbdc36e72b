import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientBase } from 'pg';

/** How long those are waited for that may still see older rows, and how often it is looked meanwhile, in ms. */
const patience = { mostMs: 5000, lookMs: 50 };

/** The tables in whose rows a content may stand that clients have pushed. */
const tables = 'manifest';

/**
 * Has PostgreSQL give up the rows that transactions have removed or replaced which are committed by now.
 *
 * @returns false where somebody may see them for longer, such as a dump of the database
 */
export async function forgetOldRows(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ next: string }>(
    'select pg_snapshot_xmax(pg_current_snapshot())::xid::text as next',
  );
  const [{ next } = { next: '0' }] = rows;
  for (const deadline = performance.now() + patience.mostMs; await areSeen(client, next);) {
    if (performance.now() > deadline) return false;
    await sleep(patience.lookMs);
  }
  // It takes as long as it takes.
  await client.query('set statement_timeout = 0');
  try {
    await client.query(`vacuum ${tables}`);
  } finally {
    await client.query('reset statement_timeout');
  }
  return true;
}

/** Whether anybody looks at a state from before a transaction's number was given. */
async function areSeen(client: ClientBase, next: string): Promise<boolean> {
  const { rows } = await client.query<{ seen: boolean }>(
    `select exists (
       select from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid() and age(backend_xmin) > age($1::text::xid)
     ) as seen`,
    [next],
  );
  return rows[0]?.seen !== false;
}
