import { MetadataBrokenError } from '../store.ts';
import { closeAfterSync, databaseCalls, openForSync, type SyncFile } from './calls.ts';

/**
 * Group commit. SQLite in WAL mode with `synchronous=NORMAL` writes a commit to the write-ahead log without syncing it;
 * one asynchronous fdatasync of the log then makes every commit before it durable, without stalling the event loop. All
 * that commits while a sync runs shares the next one.
 *
 * At most one sync runs and at most one batch of callers waits for the next: only `#begin` starts a sync, it is called
 * where none runs, and the end of a sync begins the next one before anything else can happen.
 *
 * A sync that failed is the last one: the system may have given up the pages that it could not write and count them as
 * written, so that a later sync would succeed without having saved them. Only reading the log again, after a restart,
 * tells what it holds.
 *
 * When a checkpoint moves commits out of the log before they were synced here, SQLite has itself synced the log first
 * and the database file after, so a later sync of the log still leaves nothing acknowledged behind.
 */
export class CommitSync {
  readonly #descriptor: number;
  readonly #syncFile: SyncFile;
  /** Is told once that nothing is promised any more. */
  readonly #onBroken: (reason: string) => void;
  /** Commits that somebody waits for, or has been told of; how many of them are on the disk. */
  #committed = 0;
  #durable = 0;
  /** Those whom the running sync serves, and up to which commit; undefined where none runs. */
  #running: (PromiseWithResolvers<void> & { readonly upTo: number }) | undefined;
  /** Those who have committed after it began. */
  #waiting: PromiseWithResolvers<void> | undefined;
  #broken: MetadataBrokenError | undefined;

  /** Opens the write-ahead log, which SQLite keeps as long as the database is open. */
  constructor(
    walPath: string,
    syncFile: SyncFile = databaseCalls.syncLog,
    onBroken: (reason: string) => void = () => undefined,
  ) {
    this.#onBroken = onBroken;
    this.#descriptor = openForSync(walPath);
    this.#syncFile = syncFile;
  }

  /** A transaction that must not be lost has been written to the log. */
  committed(): void {
    this.#committed++;
  }

  /**
   * Resolves once all that was committed until now is on the disk: at once where it is.
   * @throws MetadataBrokenError from the first failed sync on
   */
  async durable(): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken;
    if (this.#durable === this.#committed) return;
    if (this.#running === undefined) {
      const batch = Promise.withResolvers<void>();
      this.#begin(batch);
      return await batch.promise;
    }
    if (this.#running.upTo === this.#committed) return await this.#running.promise;
    this.#waiting ??= Promise.withResolvers();
    return await this.#waiting.promise;
  }

  /** Resolves when the running sync has ended, well or not; undefined where none runs. */
  get running(): Promise<void> | undefined {
    return this.#running?.promise.catch(() => undefined);
  }

  #begin(batch: PromiseWithResolvers<void>): void {
    const upTo = this.#committed;
    this.#running = { ...batch, upTo };
    this.#syncFile(this.#descriptor, (error) => {
      const next = this.#waiting;
      this.#waiting = undefined;
      this.#running = undefined;
      if (error === null) {
        this.#durable = upTo;
        batch.resolve();
        if (next !== undefined) this.#begin(next);
      } else {
        const broken = this.breakOff("the database's log", error);
        batch.reject(broken);
        next?.reject(broken);
      }
    });
  }

  /** Why nothing can be promised any more, once a sync has failed. */
  get broken(): MetadataBrokenError | undefined {
    return this.#broken;
  }

  /** From now on nothing is promised any more: what was written to a file may never get to the disk. */
  breakOff(file: string, cause: Error): MetadataBrokenError {
    if (this.#broken !== undefined) return this.#broken;
    this.#broken = new MetadataBrokenError(
      `${file} could not be synced to the disk (${cause.message}), so nothing more can be acknowledged: check the disk, then restart`,
      { cause },
    );
    this.#onBroken(cause.message);
    return this.#broken;
  }

  /** Syncs what was committed, for those who are about to ask for it too, and waits for the syncs that were asked for. */
  async close(): Promise<void> {
    await this.durable().catch(() => undefined);
    while (this.#running !== undefined) await this.#running.promise.catch(() => undefined);
    await closeAfterSync(this.#descriptor);
  }
}
