export type Bytes = Uint8Array<ArrayBuffer>;

const chunkBytes = 8;

/** What a request brings, all at once. */
export function chunkOf(bytes: Bytes) {
  return { body: new Blob([bytes]).stream(), range: undefined, lengthBytes: bytes.byteLength };
}

/** The next bytes of a blob, where what was sent is its beginning; its first ones otherwise. */
export function nextChunk(sent: readonly Bytes[], bytes: Bytes): Bytes {
  return (restOf(bytes, sent) ?? bytes).slice(0, chunkBytes);
}

/** What is missing of a blob; undefined where what was sent is not its beginning. */
export function restOf(bytes: Bytes, sent: readonly Bytes[]): Bytes | undefined {
  const start = Buffer.concat(sent);
  return Buffer.compare(start, bytes.subarray(0, start.byteLength)) === 0 ? bytes.slice(start.byteLength) : undefined;
}
