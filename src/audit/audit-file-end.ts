import type { FileHandle } from 'node:fs/promises';

/** What every line of ours begins with. */
const lineStart = Buffer.from('{"id":');
const newline = 0x0a;
const pieceBytes = 64 * 1024;
/** No line of ours is longer. */
const longestLineBytes = 1024 * 1024;

/**
 * Sees to it that a file ends with the end of a line. What a crash has left of one of ours is cut off, as the whole of it
 * is written again; anything else is ended where it is, since it is not ours to take away.
 */
export async function endLastLine(file: FileHandle): Promise<void> {
  const { size } = await file.stat();
  const end = await endOfLines(file, size);
  if (end === size) return;
  const { buffer, bytesRead } = await file.read(Buffer.alloc(lineStart.byteLength), 0, lineStart.byteLength, end);
  const start = buffer.subarray(0, bytesRead);
  // A power cut may leave zeros where nothing was written yet.
  const isOurs = lineStart.subarray(0, bytesRead).equals(start) || start.every((byte) => byte === 0);
  if (isOurs) await file.truncate(end);
  else await file.write('\n');
}

/** The last line of a file that ends with the end of a line; undefined where it has none, or one too long to be ours. */
export async function lastLine(file: FileHandle): Promise<string | undefined> {
  const { size } = await file.stat();
  if (size === 0) return undefined;
  const start = await endOfLines(file, size - 1);
  const length = size - 1 - start;
  if (length > longestLineBytes) return undefined;
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, start);
  return buffer.subarray(0, bytesRead).toString();
}

/** After the last newline of the first `size` bytes; 0 where there is none. */
async function endOfLines(file: FileHandle, size: number): Promise<number> {
  for (let end = size; end > 0;) {
    const start = Math.max(end - pieceBytes, 0);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(end - start), 0, end - start, start);
    const at = buffer.subarray(0, bytesRead).lastIndexOf(newline);
    if (at !== -1) return start + at + 1;
    end = start;
  }
  return 0;
}
