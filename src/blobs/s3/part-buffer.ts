/** A buffer does not begin larger than this, in bytes: most uploads are small. */
const firstBytes = 64 * 1024;

/** Bytes on their way into a part: at most as many as its capacity, in one piece of memory that grows with them. */
export class PartBuffer {
  readonly capacity: number;
  #bytes: Uint8Array<ArrayBuffer>;
  #size = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.#bytes = new Uint8Array(Math.min(capacity, firstBytes));
  }

  get size(): number {
    return this.#size;
  }

  /** Takes as much of a chunk as there is room for. @returns the rest */
  take(chunk: Uint8Array): Uint8Array {
    const taken = chunk.subarray(0, this.capacity - this.#size);
    this.#grow(this.#size + taken.byteLength);
    this.#bytes.set(taken, this.#size);
    this.#size += taken.byteLength;
    return chunk.subarray(taken.byteLength);
  }

  /** Takes what it has for no longer needed, and goes on in the same memory. */
  clear(): void {
    this.#size = 0;
  }

  /** The bytes from `start` to `end`, which stay what they are until it is cleared. */
  bytes(start = 0, end = this.#size): Uint8Array {
    return this.#bytes.subarray(start, end);
  }

  #grow(neededBytes: number): void {
    if (neededBytes <= this.#bytes.byteLength) return;
    const larger = new Uint8Array(Math.min(this.capacity, Math.max(neededBytes, 2 * this.#bytes.byteLength)));
    larger.set(this.#bytes.subarray(0, this.#size));
    this.#bytes = larger;
  }
}
