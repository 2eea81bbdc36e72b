import type { Database } from 'bun:sqlite';

/** How far the log has been moved into the database file. */
export interface CheckpointState {
  /** Pages in the log since it was last begun from its start. */
  readonly log: number;
  /** Those of them that the database file has. */
  readonly checkpointed: number;
}

/**
 * Moves of the log into the database file what no reader still needs there: `passive` waits for nobody and keeps nobody
 * waiting, `noop` only looks.
 */
export function checkpoint(database: Database, mode: 'noop' | 'passive'): CheckpointState {
  const state = database.query<CheckpointState, []>(`pragma wal_checkpoint(${mode})`).get();
  if (state === null) throw new Error('SQLite said nothing about its log');
  return state;
}

/**
 * Moves all of the log and makes it empty, unless somebody reads what is in it, or moves it at the same time: it waits
 * for nobody, or so long at most. @returns whether it is empty
 */
export function emptyLog(database: Database, waitMs = 0): boolean {
  const timeout = database.query<{ timeout: number }, []>('pragma busy_timeout').get()?.timeout ?? 0;
  database.run(`pragma busy_timeout = ${waitMs}`);
  try {
    const state = database.query<{ busy: number }, []>('pragma wal_checkpoint(truncate)').get();
    return state?.busy === 0;
  } finally {
    database.run(`pragma busy_timeout = ${timeout}`);
  }
}
