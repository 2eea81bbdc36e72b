import { closeSync } from 'node:fs';
import { type BlobWriter, BlobStoreFullError } from '../store.ts';

/** Chunks are collected up to so many bytes before they are handed to the operating system. */
const bufferBytes = 1024 * 1024;

/** Appends to a file through Bun's buffered sink, which was measured faster than writes of its own (ADR 2). */
export class FileWriter implements BlobWriter {
  readonly #descriptor: number;
  readonly #sink: Bun.FileSink;

  /** Takes the descriptor over: closing the writer closes it. */
  constructor(descriptor: number) {
    this.#descriptor = descriptor;
    this.#sink = Bun.file(descriptor).writer({ highWaterMark: bufferBytes });
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
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
    } catch (error) {
      throw translated(error);
    } finally {
      closeSync(this.#descriptor);
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
