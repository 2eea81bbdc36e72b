import type { DigestHasher } from '../oci/digest.ts';

/** How many sessions' running hashes are kept at most; a session whose hash was dropped is read once more at its end. */
const maxHashes = 10_000;

/** A request that is writing into an upload session in this process. */
export interface ActiveWriter {
  /** Ends it; resolves once it has written its last byte. */
  stop(): Promise<void>;
}

interface RunningHash {
  readonly epoch: number;
  readonly offsetBytes: number;
  readonly hasher: DigestHasher;
}

/**
 * What this process remembers of upload sessions beyond their rows: who is writing, and the hash of the bytes so far,
 * which spares reading them again. Both may be forgotten at any time.
 */
export class UploadSessions {
  readonly #writers = new Map<string, ActiveWriter>();
  readonly #hashes = new Map<string, RunningHash>();

  /** Ends the request that is writing into a session, if there is one (R31). */
  async stopWriter(id: string): Promise<void> {
    await this.#writers.get(id)?.stop();
  }

  writing(id: string, writer: ActiveWriter): void {
    this.#writers.set(id, writer);
  }

  finishedWriting(id: string, writer: ActiveWriter): void {
    if (this.#writers.get(id) === writer) this.#writers.delete(id);
  }

  /** The hash of a session's first `offsetBytes` bytes as the writer of `epoch` left it; it is handed over, not shared. */
  takeHash(id: string, epoch: number, offsetBytes: number): DigestHasher | undefined {
    const kept = this.#hashes.get(id);
    this.#hashes.delete(id);
    return kept !== undefined && kept.epoch === epoch && kept.offsetBytes === offsetBytes ? kept.hasher : undefined;
  }

  keepHash(id: string, hash: RunningHash): void {
    if (this.#hashes.size >= maxHashes) {
      const oldest = this.#hashes.keys().next();
      if (oldest.done !== true) this.#hashes.delete(oldest.value);
    }
    this.#hashes.set(id, hash);
  }

  forget(id: string): void {
    this.#hashes.delete(id);
  }
}
