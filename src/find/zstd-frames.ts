const frameMagic = 0xfd2fb528;
/** One of sixteen: the last four bits are free. */
const skippableMagic = 0x184d2a50;

/** What is expected next, and how many bytes it has. */
type Expected = 'magic' | 'skippable size' | 'descriptor' | 'block' | 'anything';

/**
 * Follows the frames of a Zstandard stream (RFC 8878) by their headers, without decompressing anything: the runtime's
 * decompressor does not tell a stream that has been cut off from one that has ended.
 */
export class ZstdFrames {
  #expected: Expected = 'magic';
  readonly #header = new Uint8Array(4);
  #headerBytes = 0;
  /** Still to be passed over. */
  #skipped = 0;
  #hasChecksum = false;

  /** The next bytes. @returns what is wrong with the stream */
  take(chunk: Uint8Array): string | undefined {
    for (let at = 0; at < chunk.byteLength && this.#expected !== 'anything';) {
      if (this.#skipped > 0) {
        const passed = Math.min(this.#skipped, chunk.byteLength - at);
        this.#skipped -= passed;
        at += passed;
        continue;
      }
      this.#header[this.#headerBytes] = chunk[at] ?? 0;
      this.#headerBytes += 1;
      at += 1;
      if (this.#headerBytes < this.#expectedBytes()) continue;
      this.#headerBytes = 0;
      const problem = this.#passHeader();
      if (problem === undefined) continue;
      this.#expected = 'anything';
      return problem;
    }
    return undefined;
  }

  /** Whether the stream may end here. */
  get isBetweenFrames(): boolean {
    return this.#expected === 'anything' || (this.#expected === 'magic' && this.#headerBytes + this.#skipped === 0);
  }

  #expectedBytes(): number {
    if (this.#expected === 'descriptor') return 1;
    return this.#expected === 'block' ? 3 : 4;
  }

  #passHeader(): string | undefined {
    const view = new DataView(this.#header.buffer);
    switch (this.#expected) {
      case 'magic':
        return this.#beginFrame(view.getUint32(0, true));
      case 'skippable size':
        this.#skipped = view.getUint32(0, true);
        this.#expected = 'magic';
        return undefined;
      case 'descriptor':
        this.#passDescriptor(view.getUint8(0));
        return undefined;
      case 'block':
        return this.#passBlock(view.getUint16(0, true) + view.getUint8(2) * 0x1_00_00);
      case 'anything':
        return undefined;
    }
  }

  #beginFrame(magic: number): string | undefined {
    if (magic === frameMagic) this.#expected = 'descriptor';
    else if ((magic & ~0xf) >>> 0 === skippableMagic) this.#expected = 'skippable size';
    else return 'something else follows what is compressed';
    return undefined;
  }

  /** 3.1.1.1: how long the rest of the frame's header is. */
  #passDescriptor(descriptor: number): void {
    const isSingleSegment = (descriptor & 0x20) !== 0;
    const contentSizeFlag = descriptor >> 6;
    const contentSizeBytes = contentSizeFlag === 0 ? Number(isSingleSegment) : 2 ** contentSizeFlag;
    const dictionaryIdBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
    this.#hasChecksum = (descriptor & 4) !== 0;
    this.#skipped = Number(!isSingleSegment) + dictionaryIdBytes + contentSizeBytes;
    this.#expected = 'block';
  }

  /** 3.1.1.2: one bit for the last block, two for its type, and its size, which is what one that repeats a byte is unpacked to. */
  #passBlock(header: number): string | undefined {
    const isLast = (header & 1) === 1;
    const type = (header >> 1) & 3;
    if (type === 3) return 'a damaged block';
    this.#skipped = type === 1 ? 1 : header >> 3;
    if (!isLast) return undefined;
    if (this.#hasChecksum) this.#skipped += 4;
    this.#expected = 'magic';
    return undefined;
  }
}
