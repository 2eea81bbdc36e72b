/** Headers stand at multiples of this, and data is filled up to one, in bytes. */
export const blockBytes = 512;

/** What a header says of its entry, as it stands there. Names are bytes: what encoding they are in is nowhere said. */
export interface TarHeader {
  /** The character that says what it is; `\0` of old is `0`. */
  readonly type: string;
  readonly name: Uint8Array;
  readonly linkName: Uint8Array;
  readonly sizeBytes: number;
  /** An old GNU sparse file, whose header goes on in the next block. */
  readonly goesOn: boolean;
  /** How large an old GNU sparse file is once it is unpacked. */
  readonly realSizeBytes: number | undefined;
}

const checksumAt = 148;
const checksumEnd = 156;
const space = 0x20;
const slash = 0x2f;

/**
 * Reads a block as a header: POSIX ustar (and pax, which is based on it), GNU, and what was there before. Undefined where
 * its checksum is wrong, or a number in it is none.
 */
export function parseTarHeader(block: Uint8Array): TarHeader | undefined {
  if (block.byteLength < blockBytes || !hasItsChecksum(block)) return undefined;
  const sizeBytes = numberAt(block, 124, 12);
  if (sizeBytes === undefined) return undefined;
  const type = String.fromCharCode(block[156] ?? 0).replace('\0', '0');
  const magic = latin1(block.subarray(257, 265));
  const isOldSparse = type === 'S' && magic.startsWith('ustar ');
  return {
    type,
    name: magic.startsWith('ustar\0') ? prefixed(block) : textAt(block, 0, 100),
    linkName: textAt(block, 157, 100),
    sizeBytes,
    goesOn: isOldSparse && block[482] !== 0,
    realSizeBytes: isOldSparse ? numberAt(block, 483, 12) : undefined,
  };
}

/** Whether a block that follows an old GNU sparse file's header is followed by another one. */
export function goesOnAfter(extension: Uint8Array): boolean {
  return (extension[504] ?? 0) !== 0;
}

const zeroBlock = Buffer.alloc(blockBytes);

/** Whether it is one of the blocks that end an archive. */
export function isZeroBlock(block: Uint8Array): boolean {
  return zeroBlock.equals(block);
}

/** The sum of all bytes, where its own are taken for spaces. Some have added up signed bytes. */
function hasItsChecksum(block: Uint8Array): boolean {
  const said = numberAt(block, checksumAt, checksumEnd - checksumAt);
  if (said === undefined) return false;
  let sum = (checksumEnd - checksumAt) * space;
  let signedSum = sum;
  for (let at = 0; at < blockBytes; at += 1) {
    if (at >= checksumAt && at < checksumEnd) continue;
    const byte = block[at] ?? 0;
    sum += byte;
    signedSum += byte < 128 ? byte : byte - 256;
  }
  return said === sum || said === signedSum;
}

/** A name in two parts (POSIX). Where it ends with `tar`, the prefix is shorter and times come after it (star). */
function prefixed(block: Uint8Array): Uint8Array {
  const name = textAt(block, 0, 100);
  const prefix = textAt(block, 345, latin1(block.subarray(508, 512)) === 'tar\0' ? 131 : 155);
  return prefix.byteLength === 0 ? name : Buffer.concat([prefix, Uint8Array.of(slash), name]);
}

/** Octal digits between spaces and zeros, or, where that is too little, a number of bytes after one with its first bit set (GNU). */
function numberAt(block: Uint8Array, at: number, length: number): number | undefined {
  const field = block.subarray(at, at + length);
  const [first = 0] = field;
  if (first >= 0x80) {
    // 0xff begins a negative one.
    if (first !== 0x80) return undefined;
    const value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0);
    return Number.isSafeInteger(value) ? value : undefined;
  }
  const digits = latin1(field).replaceAll(/^[ \0]+|[ \0].*$/gs, '');
  if (!/^[0-7]*$/.test(digits)) return undefined;
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

function textAt(block: Uint8Array, at: number, length: number): Uint8Array {
  const field = block.slice(at, at + length);
  const end = field.indexOf(0);
  return end === -1 ? field : field.subarray(0, end);
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
