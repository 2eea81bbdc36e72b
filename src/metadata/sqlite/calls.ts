import { close, closeSync, fdatasync, fsyncSync, openSync } from 'node:fs';

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
}

export const databaseCalls: DatabaseCalls = { commit: (run) => run(), syncLog: fdatasync };

/** Opens the log for syncing. */
export function openLog(path: string): number {
  return openSync(path, 'r');
}

export async function closeLog(descriptor: number): Promise<void> {
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
