import { Database, SQLiteError } from 'bun:sqlite';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Since when a server has been running on a data directory, in ms since 1970; undefined where none is. It holds a
 * transaction open on `lock.db`, and wrote `lock.pid` when it began to.
 */
export function servedSince(dataDirectory: string): number | undefined {
  const lockPath = join(dataDirectory, 'lock.db');
  if (!existsSync(lockPath)) return undefined;
  const lock = new Database(lockPath, { readonly: true });
  try {
    lock.query('select count(*) from sqlite_schema').get();
    return undefined;
  } catch (error) {
    if (!(error instanceof SQLiteError && error.code?.startsWith('SQLITE_BUSY') === true)) throw error;
    return statSync(join(dataDirectory, 'lock.pid'), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  } finally {
    lock.close();
  }
}
