import { Database } from 'bun:sqlite';
import { isBusy } from './busy.ts';

/**
 * Holds a small SQLite database by a transaction that is left open, as a lock between processes: the runtime has no flock, and
 * the operating system drops this one however the process ends, so that a crash leaves none behind.
 *
 * @param take opens the transaction, after whatever else is to be done first
 * @returns undefined where another process holds it
 */
export function heldDatabase(path: string, take: (database: Database) => void): Disposable | undefined {
  const database = new Database(path, { create: true, readwrite: true });
  try {
    take(database);
    return { [Symbol.dispose]: () => database.close() };
  } catch (error) {
    database.close();
    if (isBusy(error)) return undefined;
    throw error;
  }
}
