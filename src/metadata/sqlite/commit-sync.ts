import { close, fdatasync, openSync } from 'node:fs';

/**
 * Group commit. SQLite in WAL mode with `synchronous=NORMAL` writes a commit to the write-ahead log without syncing it;
 * one asynchronous fdatasync of the log then makes every commit before it durable, without stalling the event loop. All
 * that commits while a sync runs shares the next one.
 *
 * When a checkpoint moves commits out of the log before they were synced here, SQLite has itself synced the log first
 * and the database file after, so a later sync of the log still leaves nothing acknowledged behind.
 *
 * Only the log may be opened beside SQLite: closing a descriptor of the database file would drop SQLite's locks on it.
 */
export class CommitSync {
  readonly #descriptor: number;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  /** Opens the write-ahead log, which SQLite keeps as long as the database is open. */
  constructor(walPath: string) {
    this.#descriptor = openSync(walPath, 'r');
  }

  /** Resolves once everything committed until now is on the disk. */
  async durable(): Promise<void> {
    if (this.#running === undefined) {
      this.#running = this.#sync();
      return await this.#running;
    }
    this.#next ??= this.#running.then(
      () => this.#startNext(),
      () => this.#startNext(),
    );
    return await this.#next;
  }

  async #startNext(): Promise<void> {
    this.#next = undefined;
    this.#running = this.#sync();
    return await this.#running;
  }

  #sync(): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      fdatasync(this.#descriptor, (error) => {
        this.#running = undefined;
        if (error === null) resolve();
        else reject(error);
      });
    });
  }

  async close(): Promise<void> {
    await this.#next;
    await this.#running;
    await new Promise<void>((resolve) => {
      close(this.#descriptor, () => resolve());
    });
  }
}
