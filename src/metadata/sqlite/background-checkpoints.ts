import type { Database } from 'bun:sqlite';
import type { DatabaseCalls } from './calls.ts';
import { checkpoint, type CheckpointState } from './checkpoint.ts';
import { CheckpointError, CheckpointThread } from './checkpoint-thread.ts';

/** How many commits share a look at how long the log is. */
const commitsALook = 32;
/** With so few pages left to move, writers are asked to wait for them. */
const shortRestPages = 256;
/** How often what was written meanwhile is moved as well, before writers have to wait for however much is left. */
const mostPasses = 6;
/** How often it is tried to keep other processes from writing, a ms apart. */
const mostHoldTries = 200;

export interface CheckpointParts {
  readonly writer: Database;
  readonly path: string;
  /** Of the database file. */
  readonly descriptor: number;
  /** So long may the log get before it is moved into the database file, in pages of 4 KiB. */
  readonly longLogPages: number;
  readonly calls: Pick<DatabaseCalls, 'checkpoint' | 'syncDatabase'>;
  /** Commits what has run; no transaction is open afterwards. */
  readonly flush: () => void;
  /**
   * Keeps other processes from writing as well, once this one doesn't; undefined where one just does. It is left out where
   * there are none.
   */
  readonly hold?: (() => Disposable | undefined) | undefined;
  /** What was moved may never get to the disk, though SQLite takes it to be there. */
  readonly onLost: (error: Error) => void;
  /** It did not get done, and nothing is lost by it. */
  readonly onProblem: (error: unknown) => void;
}

/**
 * Keeps the log short without keeping the event loop waiting for the disk (R49). A thread moves commits into the database
 * file while others are added. The log begins again from its start only when nothing is left to move, which may never be
 * so while writers go on: so in the end, when little is left, they wait for it.
 *
 * Where it does not get done, it is tried again when more has been committed.
 */
export class BackgroundCheckpoints {
  readonly #parts: CheckpointParts;
  #thread: CheckpointThread | undefined;
  #commits = 0;
  #working: Promise<void> | undefined;
  #finishing: Promise<void> | undefined;
  #isClosed = false;

  constructor(parts: CheckpointParts) {
    this.#parts = parts;
  }

  /** What writers have to wait for before they begin: the last pages are being moved. */
  get finishing(): Promise<void> | undefined {
    return this.#finishing;
  }

  /** Something was committed. */
  committed(): void {
    this.#commits++;
    if (this.#commits % commitsALook === 0) this.look();
  }

  /** Looks whether the log has got long. */
  look(): void {
    if (this.#working !== undefined || this.#isClosed) return;
    if (this.#isLogLong()) this.#working = this.#work();
  }

  #isLogLong(): boolean {
    try {
      const { log, checkpointed } = checkpoint(this.#parts.writer, 'noop');
      return log - checkpointed >= this.#parts.longLogPages;
    } catch (error) {
      this.#parts.onProblem(error);
      return false;
    }
  }

  /** Resolves when none is under way. */
  async idle(): Promise<void> {
    await this.#working;
  }

  /** Begins none any more; resolves when the one under way has ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#working;
    await this.#thread?.close();
  }

  async #work(): Promise<void> {
    try {
      // A long read elsewhere needs what is left: writers need not wait for what cannot be moved.
      if (!(await this.#moveMost())) return;
      this.#parts.flush();
      const moving = this.#moveRest();
      // Whoever waits has no part in what goes wrong with it.
      this.#finishing = moving.catch(() => undefined);
      await moving;
    } catch (error) {
      if (error instanceof CheckpointError && error.code === 'SQLITE_IOERR_FSYNC') this.#parts.onLost(error);
      this.#parts.onProblem(error);
    } finally {
      this.#working = undefined;
    }
  }

  /** Returns whether it has come to an end that lets the rest be moved. */
  async #moveMost(): Promise<boolean> {
    let moved = 0;
    for (let passes = 1; passes <= mostPasses && !this.#isClosed; passes++) {
      const { log, checkpointed } = await this.#pass();
      // The last pass syncs the file before the log may begin again: let it find little to sync.
      await this.#syncDatabase();
      if (log - checkpointed <= shortRestPages) return true;
      if (checkpointed === moved) return false;
      moved = checkpointed;
    }
    return true;
  }

  async #moveRest(): Promise<void> {
    try {
      using _held = await this.#holdOthers();
      await this.#pass();
    } finally {
      this.#finishing = undefined;
    }
  }

  /** Where others go on writing all the same, the log is begun anew another time. */
  async #holdOthers(): Promise<Disposable | undefined> {
    const { hold } = this.#parts;
    if (hold === undefined) return undefined;
    for (let tries = 0; tries < mostHoldTries; tries++) {
      const held = hold();
      if (held !== undefined) return held;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return undefined;
  }

  async #pass(): Promise<CheckpointState> {
    if (this.#thread?.hasEnded !== false) this.#thread = new CheckpointThread(this.#parts.path);
    const thread = this.#thread;
    return await this.#parts.calls.checkpoint(async () => await thread.pass());
  }

  async #syncDatabase(): Promise<void> {
    const { calls, descriptor, onLost } = this.#parts;
    const ended = Promise.withResolvers<void>();
    calls.syncDatabase(descriptor, (error) => {
      if (error === null) return ended.resolve();
      // A later sync would succeed, and the log begin again, without what this one has not written.
      onLost(error);
      ended.reject(error);
    });
    await ended.promise;
  }
}
