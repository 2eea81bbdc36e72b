import { Database, type SQLQueryBindings } from 'bun:sqlite';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { migrations } from '../metadata/migrations/all.ts';

/** How long a statement waits for another process's transaction, in ms. */
const busyTimeoutMs = 5000;

/** Why there is nothing that could be checked, in words for the operator. */
export class CannotCheckError extends Error {
  override readonly name = 'CannotCheckError';
}

/**
 * The database of a data directory, read on a connection of its own with SQL of its own: a mistake in the registry's
 * queries must not hide what it has done. Works beside a running server and without one.
 */
export class Records implements Disposable {
  readonly #database: Database;

  private constructor(database: Database) {
    this.#database = database;
  }

  /** @throws CannotCheckError where there is no database, or one whose tables this version does not know */
  static open(dataDirectory: string): Records {
    const path = join(dataDirectory, 'wherry.db');
    if (!existsSync(path))
      throw new CannotCheckError(`there is no wherry.db in ${dataDirectory}: name another directory with --data`);
    const database = new Database(path, { readonly: true });
    try {
      database.run(`pragma busy_timeout = ${busyTimeoutMs}`);
      database.run('pragma trusted_schema = off');
      expectKnownSchema(database);
      return new Records(database);
    } catch (error) {
      database.close();
      throw error;
    }
  }

  all<Row>(sql: string, ...parameters: SQLQueryBindings[]): Row[] {
    return this.#database.query<Row, SQLQueryBindings[]>(sql).all(...parameters);
  }

  /** Whether a query finds anything. */
  finds(sql: string, ...parameters: SQLQueryBindings[]): boolean {
    return this.all(sql, ...parameters).length > 0;
  }

  /** Runs reads that all see one committed state. It must be short: the server's log grows while it goes on. */
  snapshot<T>(read: () => T): T {
    return this.#database.transaction(read)();
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}

function expectKnownSchema(database: Database): void {
  const current = database.query<{ user_version: number }, []>('pragma user_version').get()?.user_version ?? 0;
  const newest = migrations.at(-1)?.number ?? 0;
  if (current > newest) {
    throw new CannotCheckError(
      `the database has schema ${current}, this version of wherry knows schemas up to ${newest}: use the newer version`,
    );
  }
  if (current < newest) {
    throw new CannotCheckError(
      `the database has schema ${current}, this version of wherry checks schema ${newest}: start wherry once, which brings it up to date`,
    );
  }
}
