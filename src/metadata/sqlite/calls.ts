import { close, closeSync, fdatasync, fsyncSync, openSync, statSync } from 'node:fs';
import type { CheckpointState } from './checkpoint.ts';

/** Makes what was written to a file durable; calls back later, with null where it has. */
export type SyncFile = (descriptor: number, done: (error: Error | null) => void) => void;

/**
 * The calls by which rows become visible and durable, but for what SQLite does by itself. A test watches them, holds
 * them back, lets them fail, and ends the process before or after each of them (test/crash).
 */
export interface DatabaseCalls {
  /** Commits a transaction: SQLite writes it to the log. */
  commit(run: () => void): void;
  /** Makes what was committed durable. */
  readonly syncLog: SyncFile;
  /** Moves commits from the log into the database file. */
  checkpoint(pass: () => Promise<CheckpointState>): Promise<CheckpointState>;
  /** Moves all commits and makes the log empty. */
  emptyLog(run: () => boolean): boolean;
  /** Writes to the disk what the database file has been given. */
  readonly syncDatabase: SyncFile;
}

export const databaseCalls: DatabaseCalls = {
  commit: (run) => run(),
  syncLog: fdatasync,
  checkpoint: async (pass) => await pass(),
  emptyLog: (run) => run(),
  syncDatabase: fdatasync,
};

/** Opens a file for syncing. */
export function openForSync(path: string): number {
  return openSync(path, 'r');
}

export async function closeAfterSync(descriptor: number): Promise<void> {
  await new Promise<void>((resolve) => {
    close(descriptor, () => resolve());
  });
}

/** A file just created is only found again after a power cut once its directory is synced. */
export function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** How long a file is, in bytes; 0 where it is not there. */
export function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
