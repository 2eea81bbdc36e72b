import type { ReadableStreamDefaultReader } from 'node:stream/web';
import { BlobStoreBusyError, type ByteRange } from '../store.ts';
import type { Bucket } from './bucket.ts';

/** Bytes of an object on their way from a bucket, no faster than they are taken; they can be cut off. */
export class Reading {
  /** Of the whole object; undefined where the server has not said. */
  objectBytes: number | undefined;
  readonly stream: ReadableStream<Uint8Array>;
  readonly #stop = new AbortController();
  readonly #over: () => void;
  #reader: ReadableStreamDefaultReader<unknown> | undefined;

  /** @param over is told when nothing more comes */
  constructor(over: () => void) {
    this.#over = over;
    this.stream = new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          const next = await this.#next();
          if (next === undefined) controller.close();
          else controller.enqueue(next);
        },
        cancel: () => this.cut(),
      },
      { highWaterMark: 0 },
    );
  }

  async begin(bucket: Bucket, key: string, range: ByteRange | undefined): Promise<void> {
    try {
      const { stream, objectBytes } = await bucket.read(key, range, this.#stop.signal);
      this.objectBytes = objectBytes;
      this.#reader = stream.getReader();
    } catch (error) {
      this.#over();
      throw error;
    }
  }

  /** Ends it before its time: whoever reads it sees an error, and no end. */
  cut(): void {
    this.#stop.abort();
    this.#over();
  }

  async #next(): Promise<Uint8Array | undefined> {
    try {
      if (this.#stop.signal.aborted) throw new BlobStoreBusyError('the bytes were cut off');
      const { done, value } = (await this.#reader?.read()) ?? { done: true, value: undefined };
      if (!done && value instanceof Uint8Array) return value;
      this.#over();
      return undefined;
    } catch (error) {
      this.#over();
      if (error instanceof BlobStoreBusyError) throw error;
      throw new BlobStoreBusyError('the bucket has broken off what it was sending', { cause: error });
    }
  }
}
