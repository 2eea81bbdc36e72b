import type { ClientBase } from 'pg';

/** Resolves once all that was committed until now is on the server's disk, also by transactions that did not wait for that. */
export async function flushLog(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ is_behind: boolean }>(
    'select pg_current_wal_flush_lsn() < pg_current_wal_insert_lsn() as is_behind',
  );
  if (rows[0]?.is_behind === false) return;
  // A transaction that waits for the disk has the log written up to its end; one that changes nothing would not wait.
  await client.query(`select pg_logical_emit_message(true, 'wherry', '')`);
}
