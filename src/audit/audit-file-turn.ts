import { AuditFile, type AuditFileParts } from './audit-file.ts';
import { type AuditFileLock, lockAuditFile } from './audit-file-lock.ts';
import { waitUnlessAborted } from './wait.ts';

/** How often a process that waits for its turn looks whether it has come, in ms. */
const lookEveryMs = 1000;

export type AuditFileTurnParts = Omit<AuditFileParts, 'writer'>;

/**
 * A process's turn to write an audit file. Of several that name the same file one writes it; the others wait until that
 * one has ended, and go on where it has stopped.
 */
export class AuditFileTurn {
  readonly #parts: AuditFileTurnParts;
  readonly #ending = new AbortController();
  /** As long as it is this process's turn. */
  #held: { readonly lock: AuditFileLock; readonly file: AuditFile } | undefined;
  #waiting: Promise<void> = Promise.resolve();

  private constructor(parts: AuditFileTurnParts) {
    this.#parts = parts;
  }

  /** Opens or makes the file, unless another process has it. */
  static async open(parts: AuditFileTurnParts): Promise<AuditFileTurn> {
    const turn = new AuditFileTurn(parts);
    if (!(await turn.#take())) {
      parts.log.warn(
        { file: parts.path },
        'another process writes this audit file: this one takes it over once that has ended; give each a file of its own to have several',
      );
    }
    return turn;
  }

  start(): void {
    if (this.#held === undefined) this.#waiting = this.#wait();
    else this.#held.file.start();
  }

  /** The file was moved away by whoever rotates logs. */
  reopen(): void {
    this.#held?.file.reopen();
  }

  /** Writes what has happened until now, where that can be done and nobody else does it, and leaves the file to others. */
  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#waiting;
    // Whoever had it may have ended just now.
    if (this.#held === undefined) await this.#tryToTake();
    const held = this.#held;
    this.#held = undefined;
    if (held === undefined) return;
    await held.file.stop();
    held.lock[Symbol.dispose]();
  }

  async #wait(): Promise<void> {
    const { signal } = this.#ending;
    let hasFailed = false;
    while (!signal.aborted) {
      await waitUnlessAborted(lookEveryMs, signal);
      if (signal.aborted) return;
      const failure = await this.#tryToTake();
      if (failure !== undefined && !hasFailed) {
        this.#parts.log.warn({ err: failure, file: this.#parts.path }, 'the audit file cannot be taken over yet');
      }
      hasFailed = failure !== undefined;
      if (this.#held === undefined) continue;
      this.#parts.log.info({ file: this.#parts.path }, 'this process writes the audit file from here on');
      this.#held.file.start();
      return;
    }
  }

  /** @returns why that has failed, where it has */
  async #tryToTake(): Promise<unknown> {
    try {
      await this.#take();
      return undefined;
    } catch (error) {
      return error;
    }
  }

  async #take(): Promise<boolean> {
    const lock = lockAuditFile(this.#parts.path);
    if (lock === undefined) return false;
    try {
      this.#held = { lock, file: await AuditFile.open({ ...this.#parts, writer: lock.writer }) };
      return true;
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
  }
}
