import type { ByteSource } from './byte-source.ts';
import { entryPath, nameText } from './entry-path.ts';
import { type PaxRecords, parsePaxRecords } from './pax-records.ts';
import { blockBytes, goesOnAfter, isZeroBlock, parseTarHeader, type TarHeader } from './tar-header.ts';

/** What an entry is. */
export type EntryType = 'file' | 'directory' | 'symlink' | 'hard link' | 'device' | 'fifo' | 'other';

export interface LayerEntry {
  /** Below the root of the image: `home/user/.ssh/id_rsa`. */
  readonly path: string;
  readonly type: EntryType;
  /** Of a file once it is unpacked; 0 for everything else. */
  readonly sizeBytes: number;
  /** Where a link leads. */
  readonly linkTarget?: string | undefined;
}

/** A name or a pax header that is longer is none that a client would read, in bytes. */
const longestExtensionBytes = 1024 * 1024;

const types: Readonly<Record<string, EntryType>> = {
  '0': 'file',
  '1': 'hard link',
  '2': 'symlink',
  '3': 'device',
  '4': 'device',
  '5': 'directory',
  '6': 'fifo',
  '7': 'file',
  D: 'directory',
  M: 'file',
  S: 'file',
};
/** Those that have no data, whatever their size says. */
const withoutData = new Set(['1', '2', '3', '4', '5', '6']);

/** What came before an entry to say more of it than its own header can. */
interface Extensions {
  readonly name?: Uint8Array;
  readonly linkName?: Uint8Array;
  readonly pax?: PaxRecords;
}

/**
 * The entries of a tar archive: ustar, pax, GNU (with long names and sparse files) and what was there before. Their data
 * is skipped. It goes on behind what is damaged, and behind the archive's end, where another one may have been appended.
 *
 * @returns what is wrong with it; undefined where nothing is
 */
export async function* tarEntries(source: ByteSource): AsyncGenerator<LayerEntry, string | undefined, undefined> {
  const tar = new TarReader(source);
  for (let entry = await tar.next(); entry !== undefined; entry = await tar.next()) yield entry;
  return tar.problem;
}

class TarReader {
  readonly #source: ByteSource;
  /** Where it is, in bytes from the beginning. */
  #at = 0;
  /** What of the last entry comes after its header, in bytes. */
  #unskipped = 0;
  #extensions: Extensions = {};
  #globalPax: PaxRecords = {};
  #zeroBlocks = 0;
  #problem: string | undefined;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** The first thing that was wrong. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Undefined at the end. */
  async next(): Promise<LayerEntry | undefined> {
    for (;;) {
      if (!(await this.#skip(this.#unskipped))) return undefined;
      this.#unskipped = 0;
      const header = await this.#header();
      if (header === undefined) return undefined;
      if (isExtension(header.type)) {
        if (!(await this.#readExtension(header))) return undefined;
        continue;
      }
      const pax = { ...this.#globalPax, ...this.#extensions.pax };
      const entry = entryOf(header, this.#extensions, pax);
      this.#extensions = {};
      if (!(await this.#skipSparseMap(header))) return entry;
      this.#unskipped = withoutData.has(header.type) ? 0 : paddedBytes(pax.sizeBytes ?? header.sizeBytes);
      // A volume's label is no file.
      if (header.type !== 'V') return entry;
    }
  }

  async #header(): Promise<TarHeader | undefined> {
    for (;;) {
      const block = await this.#source.take(blockBytes);
      if (block.byteLength === 0) return undefined;
      const header = isZeroBlock(block) ? undefined : parseTarHeader(block);
      if (isZeroBlock(block)) this.#zeroBlocks += 1;
      // After its end there may be anything.
      else if (header === undefined && this.#zeroBlocks < 2) this.#noteDamage(block);
      this.#at += block.byteLength;
      if (header === undefined) continue;
      this.#zeroBlocks = 0;
      return header;
    }
  }

  #noteDamage(block: Uint8Array): void {
    const hasEnded = block.byteLength < blockBytes;
    this.#problem ??= hasEnded ? endsEarly : `no header where one has to be, at byte ${this.#at}`;
  }

  /** A name or pax header of the next entry, or a pax header of all that follow. @returns whether there is more */
  async #readExtension({ type, sizeBytes }: TarHeader): Promise<boolean> {
    const padded = paddedBytes(sizeBytes);
    if (sizeBytes > longestExtensionBytes) {
      const most = `more than ${longestExtensionBytes}`;
      this.#problem ??= `a name or pax header of ${sizeBytes} bytes, ${most}, at byte ${this.#at}`;
      return await this.#skip(padded);
    }
    const bytes = await this.#source.take(padded);
    if (bytes.byteLength < padded) {
      this.#problem ??= endsEarly;
      return false;
    }
    const read = extensionOf(type, bytes.slice(0, sizeBytes));
    if (read === undefined) this.#problem ??= `a damaged pax header at byte ${this.#at}`;
    else if ('globalPax' in read) this.#globalPax = { ...this.#globalPax, ...read.globalPax };
    else this.#extensions = { ...this.#extensions, ...read };
    this.#at += padded;
    return true;
  }

  /** The header of an old GNU sparse file may go on in more blocks, which its size does not count. */
  async #skipSparseMap({ goesOn }: TarHeader): Promise<boolean> {
    for (let hasMore = goesOn; hasMore; this.#at += blockBytes) {
      const block = await this.#source.take(blockBytes);
      hasMore = goesOnAfter(block);
      if (block.byteLength === blockBytes) continue;
      this.#problem ??= endsEarly;
      return false;
    }
    return true;
  }

  async #skip(bytes: number): Promise<boolean> {
    if (!(await this.#source.skip(bytes))) {
      this.#problem ??= endsEarly;
      return false;
    }
    this.#at += bytes;
    return true;
  }
}

const endsEarly = 'it ends before an entry does';

/** Whether it is no entry, but says more of the next one, or of all that follow. */
function isExtension(type: string): boolean {
  return ['L', 'K', 'x', 'X', 'g'].includes(type);
}

function extensionOf(type: string, bytes: Uint8Array): Extensions | { readonly globalPax: PaxRecords } | undefined {
  if (type === 'L') return { name: untilZero(bytes) };
  if (type === 'K') return { linkName: untilZero(bytes) };
  const pax = parsePaxRecords(bytes);
  if (pax === undefined) return undefined;
  return type === 'g' ? { globalPax: pax } : { pax };
}

function untilZero(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end === -1 ? bytes : bytes.subarray(0, end);
}

function entryOf(header: TarHeader, { name, linkName }: Extensions, pax: PaxRecords): LayerEntry {
  const bytes = pax.sparseName ?? pax.path ?? name ?? header.name;
  const isNamedLikeDirectory = bytes.at(-1) === 0x2f;
  const type = header.type === '0' && isNamedLikeDirectory ? 'directory' : (types[header.type] ?? 'other');
  const isLink = type === 'symlink' || type === 'hard link';
  return {
    path: entryPath(bytes),
    type,
    sizeBytes: type === 'file' ? (pax.sparseSizeBytes ?? header.realSizeBytes ?? pax.sizeBytes ?? header.sizeBytes) : 0,
    linkTarget: isLink ? nameText(pax.linkPath ?? linkName ?? header.linkName) : undefined,
  };
}

/** Data is filled up to whole blocks. */
function paddedBytes(sizeBytes: number): number {
  return Math.ceil(sizeBytes / blockBytes) * blockBytes;
}
