import { Database } from 'bun:sqlite';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { migrations } from '../../metadata/migrations/all.ts';
import { CannotCheckError, expectKnownSchema, type Records, type Value } from '../records.ts';
import { servedSince } from './server-presence.ts';

/** How long a statement waits for another process's transaction, in ms. */
const busyTimeoutMs = 5000;

/** The database in a data directory. */
export class SqliteRecords implements Records {
  readonly database = 'sqlite';
  readonly #connection: Database;
  readonly #dataDirectory: string;

  private constructor(connection: Database, dataDirectory: string) {
    this.#connection = connection;
    this.#dataDirectory = dataDirectory;
  }

  /** @throws CannotCheckError where there is no database, or one whose tables this version does not know */
  static open(dataDirectory: string): SqliteRecords {
    const path = join(dataDirectory, 'wherry.db');
    if (!existsSync(path)) {
      throw new CannotCheckError(
        `there is no wherry.db in ${dataDirectory}: name another directory with --data, or the configuration that says where the metadata lies`,
      );
    }
    const connection = new Database(path, { readonly: true });
    try {
      connection.run(`pragma busy_timeout = ${busyTimeoutMs}`);
      connection.run('pragma trusted_schema = off');
      const version = connection.query<{ user_version: number }, []>('pragma user_version').get()?.user_version;
      expectKnownSchema(version ?? 0, migrations.at(-1)?.number ?? 0);
      return new SqliteRecords(connection, dataDirectory);
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  async all<Row>(sql: string, ...parameters: readonly Value[]): Promise<Row[]> {
    return this.#connection.query<Row, Value[]>(sql).all(...parameters);
  }

  async time(): Promise<number> {
    return Date.now();
  }

  async snapshot<T>(read: () => Promise<T>): Promise<T> {
    this.#connection.run('begin');
    try {
      return await read();
    } finally {
      this.#connection.run('commit');
    }
  }

  async servedSince(): Promise<number | undefined> {
    return servedSince(this.#dataDirectory);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection.close();
  }
}
