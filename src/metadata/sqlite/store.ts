import { Database, SQLiteError, type Statement } from 'bun:sqlite';
import { closeSync, fsyncSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { Operation } from '../operation.ts';
import { MetadataBusyError, MetadataFullError, type MetadataStore } from '../store.ts';
import { CommitSync } from './commit-sync.ts';
import { SqliteConnection } from './connection.ts';
import { migrate } from './migrate.ts';

/** How long a statement waits for another process's transaction, in ms. */
const busyTimeoutMs = 5000;
/** Commits move from the log into the database file whenever the log has grown by so many pages (4 KiB each). */
const checkpointPages = 8000;
/** Memory for cached pages, in KiB. */
const cacheKib = 16 * 1024;

/** The metadata store in one SQLite file, in this process. */
export class SqliteMetadataStore implements MetadataStore {
  readonly #database: Database;
  readonly #connection: SqliteConnection;
  readonly #begin: Statement<unknown, []>;
  readonly #beginImmediate: Statement<unknown, []>;
  readonly #commit: Statement<unknown, []>;
  readonly #rollback: Statement<unknown, []>;
  readonly #commits: CommitSync;
  #commitCount = 0;
  /** Ends the transaction that reads share; undefined where none is open. */
  #snapshotEnd: ReturnType<typeof setImmediate> | undefined;

  private constructor(database: Database, commits: CommitSync) {
    this.#database = database;
    this.#connection = new SqliteConnection(database);
    this.#begin = database.query<unknown, []>('begin');
    this.#beginImmediate = database.query<unknown, []>('begin immediate');
    this.#commit = database.query<unknown, []>('commit');
    this.#rollback = database.query<unknown, []>('rollback');
    this.#commits = commits;
  }

  /** Opens or creates `wherry.db` in a directory and brings its schema up to date. */
  static open(directory: string): SqliteMetadataStore {
    const path = join(directory, 'wherry.db');
    const database = new Database(path, { create: true, readwrite: true });
    try {
      database.run(`pragma busy_timeout = ${busyTimeoutMs}`);
      database.run('pragma journal_mode = wal');
      database.run('pragma synchronous = normal');
      database.run('pragma foreign_keys = on');
      database.run('pragma trusted_schema = off');
      database.run(`pragma wal_autocheckpoint = ${checkpointPages}`);
      database.run(`pragma cache_size = -${cacheKib}`);
      migrate(database);
      // A transaction that writes brings the log into being, so that it can be opened for syncing.
      database.transaction(() => database.run('pragma user_version = ' + schemaNumber(database))).immediate();
      const commits = new CommitSync(`${path}-wal`);
      syncDirectory(directory);
      return new SqliteMetadataStore(database, commits);
    } catch (error) {
      database.close();
      throw error;
    }
  }

  async read<T>(operation: () => Operation<T>): Promise<T> {
    this.#beginSnapshot();
    return this.#drive(operation());
  }

  async write<T>(operation: () => Operation<T>): Promise<T> {
    const result = this.#transaction(operation);
    await this.#commits.durable();
    return result;
  }

  async writeUnsynced<T>(operation: () => Operation<T>): Promise<T> {
    return this.#transaction(operation);
  }

  /** No other process writes, by the lock on the directory. */
  get commits(): number {
    return this.#commitCount;
  }

  async isReady(): Promise<boolean> {
    try {
      return !this.#commits.isBroken && this.#database.query('select 1').get() !== null;
    } catch {
      return false;
    }
  }

  async close(): Promise<void> {
    this.#endSnapshot();
    if (!this.#commits.isBroken) await this.#commits.durable();
    await this.#commits.close();
    this.#database.close();
  }

  /**
   * All reads of one turn of the event loop, between two writes, share one transaction: beginning and ending one takes
   * twice as long as finding a manifest. What they see is what was committed last, because whoever writes ends it first.
   */
  #beginSnapshot(): void {
    if (this.#snapshotEnd !== undefined) return;
    this.#begin.run();
    this.#snapshotEnd = setImmediate(() => this.#endSnapshot());
  }

  #endSnapshot(): void {
    if (this.#snapshotEnd === undefined) return;
    clearImmediate(this.#snapshotEnd);
    this.#snapshotEnd = undefined;
    this.#commit.run();
  }

  /** From BEGIN to COMMIT without letting go of the thread (R43). */
  #transaction<T>(operation: () => Operation<T>): T {
    try {
      this.#endSnapshot();
      this.#beginImmediate.run();
      this.#commitCount++;
      try {
        const result = this.#drive(operation());
        this.#commit.run();
        return result;
      } catch (error) {
        // A full disk may already have rolled the transaction back.
        if (this.#database.inTransaction) this.#rollback.run();
        throw error;
      }
    } catch (error) {
      throw translated(error);
    }
  }

  #drive<T>(operation: Operation<T>): T {
    for (;;) {
      const next = operation.next();
      if (next.done === true) return next.value;
      next.value.execute(this.#connection);
    }
  }
}

function schemaNumber(database: Database): number {
  return database.query<{ user_version: number }, []>('pragma user_version').get()?.user_version ?? 0;
}

/** A file just created is only found again after a power cut once its directory is synced. */
function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function translated(error: unknown): unknown {
  if (!(error instanceof SQLiteError)) return error;
  const code = error.code ?? '';
  if (code === 'SQLITE_FULL' || code === 'SQLITE_IOERR_WRITE') {
    return new MetadataFullError('the disk that holds the database is full', { cause: error });
  }
  if (code.startsWith('SQLITE_BUSY')) {
    return new MetadataBusyError('the database is locked by another process', { cause: error });
  }
  return error;
}
