import type { Database } from 'bun:sqlite';
import { randomBytes } from 'node:crypto';
import { accessSync, constants } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { heldDatabase } from '../metadata/sqlite/held-database.ts';

/** The right to write an audit file, which one process has at a time. It ends with the process, however that ends. */
export interface AuditFileLock extends Disposable {
  /**
   * Who writes the file, whichever process of its machine that is: under this id the database remembers how far the file has
   * come.
   */
  readonly writer: string;
}

/**
 * Takes an audit file for this process, by a lock beside it as for a data directory; it holds the writer's id. The file itself
 * may be moved away meanwhile by whoever rotates it.
 *
 * @returns undefined where another process has it
 */
export function lockAuditFile(path: string): AuditFileLock | undefined {
  let writer = '';
  try {
    const held = heldDatabase(lockPathOf(path), (database) => {
      writer = writerOf(database);
      database.run('begin exclusive');
    });
    return held && { writer, [Symbol.dispose]: () => held[Symbol.dispose]() };
  } catch (error) {
    // Says more of what is wrong, where it is wrong with the directory.
    accessSync(dirname(path), constants.W_OK | constants.X_OK);
    throw error;
  }
}

/** Its name begins with a dot, so that it is not taken for one more file to be rotated or read. */
export function lockPathOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.lock`);
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
