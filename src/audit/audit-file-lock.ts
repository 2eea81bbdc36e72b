import { Database } from 'bun:sqlite';
import { randomBytes } from 'node:crypto';
import { accessSync, constants } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isBusy } from '../metadata/sqlite/busy.ts';

/** The right to write an audit file, which one process has at a time. It ends with the process, however that ends. */
export interface AuditFileLock extends Disposable {
  /**
   * Who writes the file, whichever process of its machine that is: under this id the database remembers how far the file has
   * come.
   */
  readonly writer: string;
}

/**
 * Takes an audit file for this process. The lock is an exclusive transaction held open on a small SQLite database beside
 * the file, as for a data directory, since the runtime has no flock; it holds the writer's id. The file itself may be moved
 * away meanwhile by whoever rotates it.
 *
 * @returns undefined where another process has it
 */
export function lockAuditFile(path: string): AuditFileLock | undefined {
  const database = openedAt(lockPathOf(path));
  try {
    const writer = writerOf(database);
    database.run('begin exclusive');
    return { writer, [Symbol.dispose]: () => database.close() };
  } catch (error) {
    database.close();
    if (isBusy(error)) return undefined;
    throw error;
  }
}

/** Its name begins with a dot, so that it is not taken for one more file to be rotated or read. */
export function lockPathOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.lock`);
}

function openedAt(path: string): Database {
  try {
    return new Database(path, { create: true, readwrite: true });
  } catch (error) {
    // Says more of what is wrong, where it is wrong with the directory.
    accessSync(dirname(path), constants.W_OK | constants.X_OK);
    throw error;
  }
}

/** The id that is there, or one that is left there for good. */
function writerOf(database: Database): string {
  database.run('begin exclusive');
  database.run('create table if not exists writer (id text not null)');
  const found = database.query<{ id: string }, []>('select id from writer').get()?.id;
  const id = found ?? randomBytes(16).toString('hex');
  if (found === undefined) database.query('insert into writer (id) values (?)').run(id);
  database.run('commit');
  return id;
}
