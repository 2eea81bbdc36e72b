import { Database, type SQLQueryBindings } from 'bun:sqlite';
import { closeSync, fsyncSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { MovedDatabase, Row, Value } from './database.ts';
import type { Table } from './tables.ts';

/** How long a statement waits for another process's transaction, in ms. */
const busyTimeoutMs = 30_000;

/** The database of a data directory. */
export class SqliteDatabase implements MovedDatabase {
  readonly #database: Database;
  readonly #path: string;

  private constructor(database: Database, path: string) {
    this.#database = database;
    this.#path = path;
  }

  /** Opens it to be read, also beside a running server. */
  static openForReading(dataDirectory: string): SqliteDatabase {
    return SqliteDatabase.#open(dataDirectory, { readonly: true });
  }

  /** Opens it to be filled: nobody else uses it, and what is written is on the disk once it has been synced. */
  static openForWriting(dataDirectory: string): SqliteDatabase {
    const opened = SqliteDatabase.#open(dataDirectory, { readwrite: true, create: false });
    opened.#database.run('pragma foreign_keys = on');
    opened.#database.run('pragma synchronous = off');
    return opened;
  }

  static #open(dataDirectory: string, options: ConstructorParameters<typeof Database>[1]): SqliteDatabase {
    const path = join(dataDirectory, 'wherry.db');
    const database = new Database(path, options);
    database.run(`pragma busy_timeout = ${busyTimeoutMs}`);
    database.run('pragma trusted_schema = off');
    return new SqliteDatabase(database, path);
  }

  async schemaNumber(): Promise<number> {
    return this.#database.query<{ user_version: number }, []>('pragma user_version').get()?.user_version ?? 0;
  }

  /** Only workers of one process share it. */
  async olderProcesses(): Promise<readonly string[]> {
    return [];
  }

  async all(sql: string, parameters: readonly Value[] = []): Promise<readonly Row[]> {
    return this.#database.query<Row, SQLQueryBindings[]>(sql).all(...parameters);
  }

  async run(sql: string, parameters: readonly Value[] = []): Promise<void> {
    this.#database.query<Row, SQLQueryBindings[]>(sql).run(...parameters);
  }

  async snapshot<T>(read: () => Promise<T>): Promise<T> {
    return await this.#within('begin', async () => {
      // The state is that of the first read.
      await this.schemaNumber();
      this.#database.query('select count(*) from sqlite_schema').get();
      return await read();
    });
  }

  async transaction<T>(write: () => Promise<T>): Promise<T> {
    return await this.#within('begin immediate', write);
  }

  async insert({ name, columns }: Table, rows: readonly Row[]): Promise<void> {
    const statement = this.#database.query<Row, SQLQueryBindings[]>(
      `insert into ${name} (${columns.join(', ')}) values (${columns.map(() => '?').join(', ')})`,
    );
    for (const row of rows) statement.run(...columns.map((column) => row[column] ?? null));
  }

  /** It does so by itself. */
  async goOnNumbering(): Promise<void> {}

  async sync(): Promise<void> {
    this.#database.run('pragma synchronous = full');
    this.#database.run('pragma wal_checkpoint(truncate)');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#database.close();
  }

  async #within<T>(begin: string, run: () => Promise<T>): Promise<T> {
    this.#database.run(begin);
    try {
      const result = await run();
      this.#database.run('commit');
      return result;
    } catch (error) {
      if (this.#database.inTransaction) this.#database.run('rollback');
      throw error;
    }
  }

  /** Where it is. */
  get path(): string {
    return this.#path;
  }
}

/** Makes a database durable that no connection of this process has open any more. */
export function syncDatabaseFile(dataDirectory: string): void {
  for (const path of [join(dataDirectory, 'wherry.db'), dataDirectory, dirname(dataDirectory)]) {
    const descriptor = openSync(path, 'r');
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }
}
