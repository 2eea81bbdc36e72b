import { closeSync, fdatasync as fdatasyncLater } from 'node:fs';
import { promisify } from 'node:util';
import { type BlobWriter, BlobStoreFullError } from '../store.ts';

const fdatasync = promisify(fdatasyncLater);

/** Chunks are collected up to so many bytes before they are handed to the operating system. */
const bufferBytes = 1024 * 1024;
/** Every so many bytes the disk is set to work, so that the sync at the end of a large blob finds little left to do. */
const syncEveryBytes = 64 * 1024 * 1024;

interface Failed {
  readonly error: unknown;
}

/** Appends to a file through Bun's buffered sink, which was measured faster than writes of its own (ADR 2). */
export class FileWriter implements BlobWriter {
  readonly #descriptor: number;
  readonly #sink: Bun.FileSink;
  #unsyncedBytes = 0;
  /** The sync under way, or how the last one ended; it never rejects. */
  #syncing: Promise<Failed | undefined> | undefined;

  /** Takes the descriptor over: closing the writer closes it. */
  constructor(descriptor: number) {
    this.#descriptor = descriptor;
    this.#sink = Bun.file(descriptor).writer({ highWaterMark: bufferBytes });
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    this.#unsyncedBytes += chunk.byteLength;
    if (this.#unsyncedBytes >= syncEveryBytes) {
      this.#unsyncedBytes = 0;
      this.#syncing = this.#syncAfter(this.#syncing);
    }
    try {
      const written = this.#sink.write(chunk);
      return typeof written === 'number' ? undefined : settle(written);
    } catch (error) {
      throw translated(error);
    }
  }

  async close(): Promise<void> {
    try {
      await this.#sink.flush();
      await this.#sink.end();
      // The system tells of a failed write once only: who closes must hear of it, the sync of the blob would not.
      const failed = await this.#syncing;
      if (failed !== undefined) throw failed.error;
    } catch (error) {
      throw translated(error);
    } finally {
      await this.#syncing;
      closeSync(this.#descriptor);
    }
  }

  async #syncAfter(before: Promise<Failed | undefined> | undefined): Promise<Failed | undefined> {
    const failed = await before;
    if (failed !== undefined) return failed;
    try {
      await fdatasync(this.#descriptor);
      return undefined;
    } catch (error) {
      return { error };
    }
  }
}

async function settle(writing: Promise<number>): Promise<void> {
  try {
    await writing;
  } catch (error) {
    throw translated(error);
  }
}

const fullDiskCodes = new Set<unknown>(['ENOSPC', 'EDQUOT', 'EFBIG']);

function translated(error: unknown): unknown {
  if (error instanceof Error && 'code' in error && fullDiskCodes.has(error.code)) {
    return new BlobStoreFullError('the disk that holds the blobs is full', { cause: error });
  }
  return error;
}
