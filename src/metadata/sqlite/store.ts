import { Database, SQLiteError } from 'bun:sqlite';
import { closeSync, fsyncSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { Operation } from '../operation.ts';
import { MetadataBusyError, MetadataFullError, type MetadataStore } from '../store.ts';
import { CommitSync, type SyncFile } from './commit-sync.ts';
import { SqliteConnection } from './connection.ts';
import { GroupCommit } from './group-commit.ts';
import { migrate } from './migrate.ts';
import { Snapshot } from './snapshot.ts';

/** How long a statement waits for another process's transaction, in ms. */
const busyTimeoutMs = 5000;
/** Commits move from the log into the database file whenever the log has grown by so many pages (4 KiB each). */
const checkpointPages = 8000;
/** Memory for cached pages, in KiB, of each of the two connections. */
const cacheKib = 8 * 1024;

/**
 * The metadata store in one SQLite file, in this process. Reads and writes have a connection each, so that a read sees
 * only what is committed while operations share a transaction that is not.
 */
export class SqliteMetadataStore implements MetadataStore {
  readonly #writer: Database;
  readonly #reader: Database;
  readonly #writing: SqliteConnection;
  readonly #reading: SqliteConnection;
  readonly #snapshot: Snapshot;
  readonly #group: GroupCommit;
  readonly #log: CommitSync;
  #commitCount = 0;

  private constructor(writer: Database, reader: Database, log: CommitSync) {
    this.#writer = writer;
    this.#reader = reader;
    this.#writing = new SqliteConnection(writer);
    this.#reading = new SqliteConnection(reader);
    this.#snapshot = new Snapshot(reader);
    this.#log = log;
    this.#group = new GroupCommit(writer, {
      get running() {
        return log.running;
      },
      onCommit: (mustLast) => {
        this.#commitCount++;
        this.#snapshot.end();
        if (mustLast) log.committed();
      },
    });
  }

  /**
   * Opens or creates `wherry.db` in a directory and brings its schema up to date.
   * @param syncFile makes the log durable; passed in so that a test can hold it back or let it fail
   */
  static open(directory: string, syncFile?: SyncFile): SqliteMetadataStore {
    const path = join(directory, 'wherry.db');
    const writer = new Database(path, { create: true, readwrite: true });
    try {
      writer.run(`pragma busy_timeout = ${busyTimeoutMs}`);
      writer.run('pragma journal_mode = wal');
      writer.run('pragma synchronous = normal');
      writer.run('pragma foreign_keys = on');
      writer.run('pragma trusted_schema = off');
      writer.run(`pragma wal_autocheckpoint = ${checkpointPages}`);
      writer.run(`pragma cache_size = -${cacheKib}`);
      migrate(writer);
      // A transaction that writes brings the log into being, so that it can be opened for syncing.
      writer.transaction(() => writer.run('pragma user_version = ' + schemaNumber(writer))).immediate();
      const reader = openReader(path);
      const log = new CommitSync(`${path}-wal`, syncFile);
      syncDirectory(directory);
      return new SqliteMetadataStore(writer, reader, log);
    } catch (error) {
      writer.close();
      throw error;
    }
  }

  async read<T>(operation: () => Operation<T>): Promise<T> {
    this.#snapshot.begin();
    return drive(operation(), this.#reading);
  }

  async write<T>(operation: () => Operation<T>): Promise<T> {
    const result = await this.#run(operation, true);
    await this.#log.durable();
    return result;
  }

  async writeUnsynced<T>(operation: () => Operation<T>): Promise<T> {
    return await this.#run(operation, false);
  }

  async durable(): Promise<void> {
    await this.#log.durable();
  }

  async #run<T>(operation: () => Operation<T>, mustLast: boolean): Promise<T> {
    // What could never be acknowledged should not be done either.
    if (this.#log.broken !== undefined) throw this.#log.broken;
    try {
      return await this.#group.run(() => drive(operation(), this.#writing), mustLast);
    } catch (error) {
      throw translated(error);
    }
  }

  /** No other process writes, by the lock on the directory. */
  get commits(): number {
    return this.#commitCount;
  }

  async isReady(): Promise<boolean> {
    try {
      return this.#log.broken === undefined && this.#reader.query('select 1').get() !== null;
    } catch {
      return false;
    }
  }

  async close(): Promise<void> {
    this.#group.flush();
    this.#snapshot.end();
    await this.#log.close();
    this.#reader.close();
    this.#writer.close();
  }
}

function openReader(path: string): Database {
  const reader = new Database(path, { readonly: true });
  reader.run(`pragma busy_timeout = ${busyTimeoutMs}`);
  reader.run('pragma trusted_schema = off');
  reader.run(`pragma cache_size = -${cacheKib}`);
  return reader;
}

/** Runs an operation from its first statement to its last without letting go of the thread (R43). */
function drive<T>(operation: Operation<T>, connection: SqliteConnection): T {
  for (;;) {
    const next = operation.next();
    if (next.done === true) return next.value;
    next.value.execute(connection);
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
