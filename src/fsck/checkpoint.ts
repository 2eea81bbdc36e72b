import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** How often it is written while blobs are read, in ms. */
const writeEveryMs = 2000;

/** How far reading all blobs has come: the file `fsck.checkpoint` in the data directory, from which the next run goes on. */
export class Checkpoint {
  readonly #path: string;
  readonly #now: () => number;
  #writtenAt: number;

  constructor(dataDirectory: string, now: () => number = () => performance.now()) {
    this.#path = join(dataDirectory, 'fsck.checkpoint');
    this.#now = now;
    this.#writtenAt = now();
  }

  /** The last object that was read; empty where none was. */
  read(): string {
    try {
      return /^[0-9a-f]{32}$/m.exec(readFileSync(this.#path, 'utf8'))?.[0] ?? '';
    } catch {
      return '';
    }
  }

  /** Remembers an object now and then. Best effort: whoever cannot write it reads everything again. */
  passed(oid: string): void {
    if (this.#now() - this.#writtenAt < writeEveryMs) return;
    this.#writtenAt = this.#now();
    try {
      writeFileSync(`${this.#path}.new`, `${oid}\n`);
      renameSync(`${this.#path}.new`, this.#path);
    } catch {
      // The next run will do without.
    }
  }

  /** Everything has been read. */
  done(): void {
    rmSync(this.#path, { force: true });
  }
}
