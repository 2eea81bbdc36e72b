import type { Database, Statement } from 'bun:sqlite';

/**
 * A transaction that all reads of one turn of the event loop share, on a connection that only reads: beginning and
 * ending one takes twice as long as finding a manifest. It sees what was committed when its first read began, so
 * whoever commits must end it.
 */
export class Snapshot {
  readonly #begin: Statement<unknown, []>;
  readonly #commit: Statement<unknown, []>;
  #ending: ReturnType<typeof setImmediate> | undefined;

  constructor(reader: Database) {
    this.#begin = reader.query<unknown, []>('begin');
    this.#commit = reader.query<unknown, []>('commit');
  }

  /** The reads that follow in this turn share it. @returns whether it was begun just now */
  begin(): boolean {
    if (this.#ending !== undefined) return false;
    this.#begin.run();
    this.#ending = setImmediate(() => this.end());
    return true;
  }

  /** The next read begins another one. */
  end(): void {
    if (this.#ending === undefined) return;
    clearImmediate(this.#ending);
    this.#ending = undefined;
    this.#commit.run();
  }
}
