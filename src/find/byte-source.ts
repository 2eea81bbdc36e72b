/** A blob, or what it is decompressed to, in chunks of any length. */
export type Chunks = AsyncIterable<Uint8Array, unknown, undefined>;

const nothing = new Uint8Array();

/** Bytes that come in chunks of any length, taken in pieces of the length that is asked for. Holds one chunk at a time. */
export class ByteSource {
  readonly #chunks: AsyncIterator<Uint8Array, unknown, undefined>;
  #chunk: Uint8Array = nothing;
  #hasEnded = false;

  constructor(chunks: Chunks) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next bytes, which stay; fewer only where there are no more. It holds them all, so it must be few. */
  async peek(length: number): Promise<Uint8Array> {
    if (this.#chunk.byteLength < length) await this.#gather(length);
    return this.#chunk.subarray(0, length);
  }

  /** The same, and goes on behind them. They are good until the next call. */
  async take(length: number): Promise<Uint8Array> {
    const taken = await this.peek(length);
    this.#chunk = this.#chunk.subarray(taken.byteLength);
    return taken;
  }

  /** Goes on behind the next bytes, without holding them. @returns whether there were as many */
  async skip(length: number): Promise<boolean> {
    let left = length;
    while (left > this.#chunk.byteLength) {
      left -= this.#chunk.byteLength;
      if (!(await this.#next())) return false;
    }
    this.#chunk = this.#chunk.subarray(left);
    return true;
  }

  /** All that is left. Whoever ends this early ends what the chunks come from. */
  async *rest(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      do {
        if (this.#chunk.byteLength > 0) yield this.#chunk;
      } while (await this.#next());
    } finally {
      await this.close();
    }
  }

  /** Ends what the chunks come from. */
  async close(): Promise<void> {
    this.#hasEnded = true;
    this.#chunk = nothing;
    await this.#chunks.return?.();
  }

  async #gather(length: number): Promise<void> {
    const pieces = [this.#chunk];
    let gathered = this.#chunk.byteLength;
    while (gathered < length && (await this.#next())) {
      pieces.push(this.#chunk);
      gathered += this.#chunk.byteLength;
    }
    this.#chunk = Buffer.concat(pieces, gathered);
  }

  async #next(): Promise<boolean> {
    this.#chunk = nothing;
    if (this.#hasEnded) return false;
    const next = await this.#chunks.next();
    if (next.done === true) {
      this.#hasEnded = true;
      return false;
    }
    this.#chunk = next.value;
    return true;
  }
}
