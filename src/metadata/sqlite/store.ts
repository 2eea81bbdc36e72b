import { Database, SQLiteError } from 'bun:sqlite';
import { join } from 'node:path';
import type { Operation } from '../operation.ts';
import {
  type Begun,
  MetadataBusyError,
  MetadataFullError,
  type MetadataStore,
  type OldPages,
  type Seen,
  type WriteOptions,
} from '../store.ts';
import { BackgroundCheckpoints } from './background-checkpoints.ts';
import { isBusy } from './busy.ts';
import { closeAfterSync, type DatabaseCalls, databaseCalls, fileBytes, openForSync, syncDirectory } from './calls.ts';
import { checkpoint, emptyLog } from './checkpoint.ts';
import { CommitSync } from './commit-sync.ts';
import { SqliteConnection } from './connection.ts';
import { dataVersion, ForeignCommits } from './foreign-commits.ts';
import { GroupCommit } from './group-commit.ts';
import { notLooked, unlessReadOnly } from '../begun.ts';
import { migrate } from './migrate.ts';
import type { Reserve } from './reserve.ts';
import { SharedCommit } from './shared-commit.ts';
import type { CommitSyncs } from './shared-transaction.ts';
import { Snapshot } from './snapshot.ts';

/** How long a statement waits for another process's transaction, in ms. */
const busyTimeoutMs = 5000;
/** Commits are moved from the log into the database file whenever it has so many pages (4 KiB each) to move. */
const longLogPages = 4000;
/** SQLite does so itself, which keeps everything waiting, where the log gets so long all the same. */
const farTooLongLogPages = 64_000;
/** How often it is tried to make the log empty. */
const emptyingTries = 20;
/** How long readers of other processes are waited for at a time, and between two times, in ms. */
const sharedEmptyingMs = 20;
/** Memory for cached pages, in KiB, of each of the two connections. */
const cacheKib = 8 * 1024;

/** Room that can be given up when the disk is full. */
type GivenUp = Pick<Reserve, 'release'>;

const noReserve: GivenUp = { release: () => false };

export interface SharedParts {
  readonly isKeeper: boolean;
  /** The disk has lost something: the others must not promise anything either. */
  readonly onBroken: (reason: string) => void;
}

export interface SqliteParts {
  readonly reserve?: GivenUp;
  /** A test holds some of them back, or lets them fail. */
  readonly calls?: Partial<DatabaseCalls>;
  /** So long may the log get before it is moved into the database file, in pages of 4 KiB. */
  readonly longLogPages?: number;
  /** Where other processes write to the same database. Only one of them moves the log into the database file. */
  readonly shared?: SharedParts | undefined;
  /** The log could not be moved; it is tried again. */
  readonly onCheckpointProblem?: (error: unknown) => void;
}

/**
 * The metadata store in one SQLite file, in this process, or in several of one machine. Reads and writes have a connection each, so that a read sees
 * only what is committed while operations share a transaction that is not.
 */
export class SqliteMetadataStore implements MetadataStore {
  readonly isShared: boolean;
  readonly #writer: Database;
  readonly #reader: Database;
  readonly #writing: SqliteConnection;
  readonly #reading: SqliteConnection;
  readonly #snapshot: Snapshot;
  readonly #path: string;
  readonly #group: GroupCommit | SharedCommit;
  /** What others have committed; undefined where nobody else writes. */
  readonly #foreign: ForeignCommits | undefined;
  readonly #log: CommitSync;
  readonly #checkpoints: BackgroundCheckpoints;
  /** Of the database file. To close it drops SQLite's locks on that: only when SQLite has closed it. */
  readonly #file: number;
  readonly #reserve: GivenUp;
  readonly #calls: DatabaseCalls;
  #commitCount = 0;
  /** Whether something was committed here that no sync of the log is due for. */
  #isUnsynced = false;
  /** Of the database as the reader's snapshot sees it, where others write too. */
  #version: number | undefined;
  #watcher: () => void = () => undefined;

  private constructor({ writer, reader }: Connections, path: string, parts: SqliteParts) {
    const calls: DatabaseCalls = { ...databaseCalls, ...parts.calls };
    this.#calls = calls;
    this.#path = path;
    const log = new CommitSync(`${path}-wal`, calls.syncLog, parts.shared?.onBroken);
    this.#writer = writer;
    this.#reader = reader;
    this.#writing = new SqliteConnection(writer);
    this.#reading = new SqliteConnection(reader);
    this.#snapshot = new Snapshot(reader);
    this.#log = log;
    this.#reserve = parts.reserve ?? noReserve;
    this.#file = openForSync(path);
    this.isShared = parts.shared !== undefined;
    const syncs: CommitSyncs = {
      commit: calls.commit,
      get running() {
        return log.running;
      },
      onCommit: (mustLast) => {
        this.#commitCount++;
        this.#snapshot.end();
        if (mustLast) log.committed();
        this.#isUnsynced = !mustLast;
        this.#checkpoints.committed();
        this.#watcher();
      },
    };
    const group = parts.shared === undefined ? new GroupCommit(writer, syncs) : new SharedCommit(writer, syncs);
    this.#group = group;
    this.#foreign =
      parts.shared === undefined
        ? undefined
        : new ForeignCommits(writer, () => {
            if (parts.shared?.isKeeper === true) this.#checkpoints.look();
            this.#watcher();
          });
    this.#checkpoints = new BackgroundCheckpoints({
      writer,
      path,
      descriptor: this.#file,
      longLogPages:
        writer === reader || parts.shared?.isKeeper === false ? Infinity : (parts.longLogPages ?? longLogPages),
      calls,
      flush: () => group.flush(),
      hold: group instanceof SharedCommit ? () => group.hold() : undefined,
      onLost: (error) => void log.breakOff('the database', error),
      onProblem: parts.onCheckpointProblem ?? (() => undefined),
    });
  }

  /**
   * Opens or creates `wherry.db` in a directory and brings its schema up to date. On a full disk the reserve is given up
   * for it where that is what it takes.
   */
  static open(directory: string, parts: SqliteParts = {}): SqliteMetadataStore {
    const path = join(directory, 'wherry.db');
    const connections = openOnFullDisk(path, { ...parts, reserve: parts.reserve ?? noReserve });
    try {
      syncDirectory(directory);
      return new SqliteMetadataStore(connections, path, parts);
    } catch (error) {
      closeBoth(connections);
      throw error;
    }
  }

  async read<T>(operation: () => Operation<T>): Promise<T> {
    if (this.#reader === this.#writer) this.#group.flush();
    else this.#beginSnapshot();
    try {
      return drive(operation(), this.#reading);
    } catch (error) {
      throw translated(error);
    }
  }

  async write<T>(operation: (begun: Begun) => Operation<T>, options: WriteOptions = {}): Promise<T> {
    const result = await this.#withRoom(operation, true, options);
    await this.#log.durable();
    return result;
  }

  async writeUnsynced<T>(operation: (begun: Begun) => Operation<T>, options: WriteOptions = {}): Promise<T> {
    return await this.#withRoom(operation, false, options);
  }

  async durable(what: Seen = 'promised'): Promise<void> {
    // What another process has committed it may not have synced yet, and may never. A sync of the log here covers both.
    if (this.#foreign?.haveCome() === true || (what === 'all' && this.#isUnsynced)) {
      this.#log.committed();
      this.#isUnsynced = false;
    }
    await this.#log.durable();
  }

  async forgetOldPages(): Promise<OldPages> {
    for (let tries = 0; tries < emptyingTries; tries++) {
      await this.#checkpoints.idle();
      await this.#log.durable();
      this.#group.flush();
      this.#snapshot.end();
      try {
        if (this.#calls.emptyLog(() => emptyLog(this.#writer, this.isShared ? sharedEmptyingMs : 0)))
          return 'forgotten';
      } catch (error) {
        if (error instanceof SQLiteError && error.code === 'SQLITE_IOERR_FSYNC')
          this.#log.breakOff('the database', error);
        if (!isBusy(error)) throw translated(error);
      }
      // Others may be about to end their reads.
      await new Promise<void>((resolve) => {
        if (this.isShared) setTimeout(resolve, sharedEmptyingMs);
        else setImmediate(resolve);
      });
    }
    return 'being-read';
  }

  get commits(): number {
    if (!this.isShared) return this.#commitCount;
    // Of what the reads of this turn see: theirs is the state that this is the number of.
    this.#beginSnapshot();
    this.#version ??= dataVersion(this.#reader);
    return this.#version;
  }

  /** They are numbered in the order in which they are committed. */
  async settledEvents(): Promise<number> {
    return Number.MAX_SAFE_INTEGER;
  }

  /** Only workers of one version share it. */
  async processesBefore(): Promise<readonly string[]> {
    return [];
  }

  /** From now on nothing is promised any more: another process has found that the disk has lost something. */
  breakOff(reason: string): void {
    this.#log.breakOff('the database', new Error(reason));
  }

  /** Nobody else is there to be told. */
  announce(): void {}

  onAnnouncement(): void {}

  watch(committed: () => void): void {
    this.#watcher = committed;
    this.#foreign?.start();
  }

  async sizeBytes(): Promise<number> {
    return fileBytes(this.#path) + fileBytes(`${this.#path}-wal`);
  }

  async isReady(): Promise<boolean> {
    try {
      return this.#log.broken === undefined && this.#reader.query('select 1').get() !== null;
    } catch {
      return false;
    }
  }

  async close(): Promise<void> {
    this.#foreign?.stop();
    await this.#group.close();
    await this.#checkpoints.close();
    await this.#log.close();
    // SQLite removes the log when it is closed. Where that may be needed again, the end of the process closes the files.
    if (this.#log.broken !== undefined) return;
    this.#snapshot.end();
    closeBoth({ writer: this.#writer, reader: this.#reader });
    await closeAfterSync(this.#file);
  }

  #beginSnapshot(): void {
    if (this.#snapshot.begin()) this.#version = undefined;
  }

  /** Where the disk is full, room is made and the operation, which has been rolled back, runs again. */
  async #withRoom<T>(
    operation: (begun: Begun) => Operation<T>,
    mustLast: boolean,
    { fromReserve = false, whileReadOnly = false }: WriteOptions,
  ): Promise<T> {
    const allowed = () => (whileReadOnly ? operation(notLooked) : unlessReadOnly(operation));
    try {
      return await this.#run(allowed, mustLast);
    } catch (error) {
      if (!(error instanceof MetadataFullError)) throw error;
    }
    await this.#emptyLog();
    try {
      return await this.#run(allowed, mustLast);
    } catch (error) {
      if (!(error instanceof MetadataFullError && fromReserve && this.#reserve.release())) throw error;
    }
    await this.#emptyLog();
    return await this.#run(allowed, mustLast);
  }

  async #run<T>(operation: () => Operation<T>, mustLast: boolean): Promise<T> {
    while (this.#checkpoints.finishing !== undefined) await this.#checkpoints.finishing;
    // What could never be acknowledged should not be done either.
    if (this.#log.broken !== undefined) throw this.#log.broken;
    try {
      return await this.#group.run(() => drive(operation(), this.#writing), mustLast);
    } catch (error) {
      throw translated(error);
    }
  }

  /** Moves the log into the database file, so that what is written next takes the log's room again from its beginning. */
  async #emptyLog(): Promise<void> {
    await this.#checkpoints.idle();
    this.#group.flush();
    this.#snapshot.end();
    try {
      checkpoint(this.#writer, 'passive');
    } catch (error) {
      // Without room for it the log stays as it is.
      if (!(error instanceof SQLiteError)) throw error;
      if (error.code === 'SQLITE_IOERR_FSYNC') this.#log.breakOff('the database', error);
    }
  }
}

interface Connections {
  readonly writer: Database;
  /** The same where there can be only one. */
  readonly reader: Database;
}

function closeBoth({ writer, reader }: Connections): void {
  if (reader !== writer) reader.close();
  writer.close();
}

/**
 * Opening takes some room itself: for the log, and for the memory that connections share to find their way in it. Without
 * room for that even after the reserve is gone, there is one connection, which needs no shared memory: everything can be
 * read, and written once there is room.
 */
function openOnFullDisk(
  path: string,
  { reserve, shared }: { readonly reserve: GivenUp; readonly shared?: SqliteParts['shared'] },
): Connections {
  const open = (): Connections => {
    const connections = openBoth(path);
    // Nobody waits for another process with the thread: SharedCommit tries again.
    if (shared !== undefined) connections.writer.run('pragma busy_timeout = 0');
    return connections;
  };
  try {
    return open();
  } catch (error) {
    if (!mayBeFull(error)) throw error;
  }
  reserve.release();
  try {
    return open();
  } catch (error) {
    // Others have the shared memory already, and need it.
    if (!mayBeFull(error) || shared !== undefined) throw error;
  }
  const only = openWriter(path, 'exclusive');
  return { writer: only, reader: only };
}

function openBoth(path: string): Connections {
  const writer = openWriter(path, 'normal');
  try {
    return { writer, reader: openReader(path) };
  } catch (error) {
    writer.close();
    throw translated(error);
  }
}

function openWriter(path: string, lockingMode: 'normal' | 'exclusive'): Database {
  try {
    const writer = new Database(path, { create: true, readwrite: true });
    try {
      writer.run(`pragma busy_timeout = ${busyTimeoutMs}`);
      writer.run(`pragma locking_mode = ${lockingMode}`);
      // Reads the database as well, which brings the log into being: it can be opened for syncing from here on.
      writer.run('pragma journal_mode = wal');
      writer.run('pragma synchronous = normal');
      writer.run('pragma foreign_keys = on');
      // What is deleted or moved is overwritten with zeros: else older states of a row that is purged would lie about.
      writer.run('pragma secure_delete = on');
      writer.run('pragma trusted_schema = off');
      // A thread of its own would not get at a database that is locked.
      const longPages = lockingMode === 'normal' ? farTooLongLogPages : longLogPages;
      writer.run(`pragma wal_autocheckpoint = ${longPages}`);
      writer.run(`pragma cache_size = -${cacheKib}`);
      migrate(writer);
      return writer;
    } catch (error) {
      writer.close();
      throw error;
    }
  } catch (error) {
    throw translated(error);
  }
}

function openReader(path: string): Database {
  const reader = new Database(path, { readonly: true });
  reader.run(`pragma busy_timeout = ${busyTimeoutMs}`);
  reader.run('pragma trusted_schema = off');
  reader.run(`pragma cache_size = -${cacheKib}`);
  return reader;
}

/** SQLite does not tell a file that nothing can create, for lack of an inode, from one that it may not create. */
function mayBeFull(error: unknown): boolean {
  return error instanceof MetadataFullError || (error instanceof SQLiteError && error.code === 'SQLITE_CANTOPEN');
}

/** Runs an operation from its first statement to its last without letting go of the thread (R43). */
function drive<T>(operation: Operation<T>, connection: SqliteConnection): T {
  for (;;) {
    const next = operation.next();
    if (next.done === true) return next.value;
    next.value.execute(connection);
  }
}

/** The second is what a quota gives, the third a log that has no room for its index. */
const fullDiskCodes = new Set(['SQLITE_FULL', 'SQLITE_IOERR_WRITE', 'SQLITE_IOERR_SHMSIZE']);

function translated(error: unknown): unknown {
  if (!(error instanceof SQLiteError)) return error;
  const code = error.code ?? '';
  if (fullDiskCodes.has(code)) {
    return new MetadataFullError('the disk that holds the database is full', { cause: error });
  }
  if (isBusy(error)) {
    return new MetadataBusyError('the database is locked by another process', { cause: error });
  }
  return error;
}
