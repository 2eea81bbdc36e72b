import { close, fdatasync, openSync } from 'node:fs';
import { MetadataBrokenError } from '../store.ts';

/** Makes what was written to a file durable; calls back later, with null where it has. */
export type SyncFile = (descriptor: number, done: (error: Error | null) => void) => void;

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
 *
 * Only the log may be opened beside SQLite: closing a descriptor of the database file would drop SQLite's locks on it.
 */
export class CommitSync {
  readonly #descriptor: number;
  readonly #syncFile: SyncFile;
  /** Those whom the running sync serves; undefined where none runs. */
  #running: PromiseWithResolvers<void> | undefined;
  /** Those who came while it ran, and may have committed after it began. */
  #waiting: PromiseWithResolvers<void> | undefined;
  #broken: MetadataBrokenError | undefined;

  /** Opens the write-ahead log, which SQLite keeps as long as the database is open. */
  constructor(walPath: string, syncFile: SyncFile = fdatasync) {
    this.#descriptor = openSync(walPath, 'r');
    this.#syncFile = syncFile;
  }

  /**
   * Resolves once everything committed until now is on the disk.
   * @throws MetadataBrokenError from the first failed sync on
   */
  async durable(): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken;
    if (this.#running === undefined) {
      const batch = Promise.withResolvers<void>();
      this.#begin(batch);
      return await batch.promise;
    }
    this.#waiting ??= Promise.withResolvers();
    return await this.#waiting.promise;
  }

  #begin(batch: PromiseWithResolvers<void>): void {
    this.#running = batch;
    this.#syncFile(this.#descriptor, (error) => {
      const next = this.#waiting;
      this.#waiting = undefined;
      this.#running = undefined;
      if (error === null) {
        batch.resolve();
        if (next !== undefined) this.#begin(next);
      } else {
        this.#broken = new MetadataBrokenError(
          `the database's log could not be synced to the disk (${error.message}), so nothing more can be acknowledged: check the disk, then restart`,
          { cause: error },
        );
        batch.reject(this.#broken);
        next?.reject(this.#broken);
      }
    });
  }

  /** Whether a sync has failed. */
  get isBroken(): boolean {
    return this.#broken !== undefined;
  }

  /** Waits for the syncs that were asked for. */
  async close(): Promise<void> {
    while (this.#running !== undefined) await this.#running.promise.catch(() => undefined);
    await new Promise<void>((resolve) => {
      close(this.#descriptor, () => resolve());
    });
  }
}
