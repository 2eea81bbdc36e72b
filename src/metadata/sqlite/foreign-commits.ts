import type { Database } from 'bun:sqlite';
import { isBusy } from './busy.ts';

/** How often it is looked whether another process has committed, in ms. It takes some microseconds. */
const lookMs = 100;

/** Changes when the database does, by whatever other connection; a number that only this connection can compare. */
export function dataVersion(database: Database): number {
  const row = database.query<{ data_version: number }, []>('pragma data_version').get();
  if (row === null) throw new Error('SQLite said nothing about the version of its data');
  return row.data_version;
}

/** Notices what other processes commit. */
export class ForeignCommits {
  readonly #writer: Database;
  readonly #onCommit: () => void;
  #watched: number;
  #known: number;
  #timer: ReturnType<typeof setInterval> | undefined;

  /**
   * @param writer the only connection of this process that writes, so that its number changes by the others alone
   * @param onCommit is called some time after another process has committed, once it has been started
   */
  constructor(writer: Database, onCommit: () => void) {
    this.#writer = writer;
    this.#onCommit = onCommit;
    this.#watched = dataVersion(writer);
    this.#known = this.#watched;
  }

  start(): void {
    this.#timer ??= setInterval(() => this.#look(), lookMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Whether another process has committed anything since this was asked last. */
  haveCome(): boolean {
    const version = this.#version();
    // What cannot be told may be so.
    if (version === undefined) return true;
    const areNew = version !== this.#known;
    this.#known = version;
    return areNew;
  }

  #look(): void {
    const version = this.#version();
    if (version === undefined || version === this.#watched) return;
    this.#watched = version;
    this.#onCommit();
  }

  /** Undefined where it cannot be told now: within a transaction, or while the log of a process that has died is looked through. */
  #version(): number | undefined {
    if (this.#writer.inTransaction) return undefined;
    try {
      return dataVersion(this.#writer);
    } catch (error) {
      if (isBusy(error)) return undefined;
      throw error;
    }
  }
}
