import { Database, SQLiteError } from 'bun:sqlite';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type DirectoryLockResult =
  | { readonly locked: true; readonly lock: Disposable }
  | { readonly locked: false; readonly holder: string | undefined };

/**
 * Takes a data directory for this process (protocol.md, T_expire). The lock is an exclusive transaction held open on a
 * small SQLite database of its own, because the runtime has no flock: the operating system drops it however the process
 * ends, so a crash leaves no lock behind (R36).
 */
export function lockDirectory(directory: string): DirectoryLockResult {
  const pidPath = join(directory, 'lock.pid');
  const database = new Database(join(directory, 'lock.db'), { create: true, readwrite: true });
  try {
    database.run('pragma journal_mode = memory');
    database.run('begin exclusive');
  } catch (error) {
    database.close();
    if (error instanceof SQLiteError && error.code?.startsWith('SQLITE_BUSY') === true) {
      return { locked: false, holder: readHolder(pidPath) };
    }
    throw error;
  }
  tellHolder(pidPath);
  return { locked: true, lock: { [Symbol.dispose]: () => database.close() } };
}

/** Only for a message to the next one: a full disk, which cannot take it, keeps nobody from starting. */
function tellHolder(pidPath: string): void {
  try {
    writeFileSync(pidPath, `${process.pid}\n`);
  } catch {
    // The message will do without.
  }
}

function readHolder(pidPath: string): string | undefined {
  try {
    const holder = readFileSync(pidPath, 'utf8').trim();
    return holder === '' ? undefined : holder;
  } catch {
    return undefined;
  }
}
