import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { layerEntries, type LayerEnd, type LayerEntry } from '../../src/find/layer-entries.ts';

/** More than any layer of a test has. */
export const roomy = { maxLayerBytes: 1024 ** 4 };

/** The bytes in chunks of a length. */
export async function* chunked(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.byteLength; at += length) yield bytes.subarray(at, at + length);
}

/** All entries of a layer, and how far it could be read. */
export async function readLayer(
  bytes: Uint8Array,
  { chunkBytes = 64 * 1024, maxLayerBytes = roomy.maxLayerBytes } = {},
): Promise<{ readonly entries: readonly LayerEntry[]; readonly end: LayerEnd }> {
  const reading = layerEntries(chunked(bytes, chunkBytes), { maxLayerBytes });
  const entries: LayerEntry[] = [];
  for (;;) {
    const next = await reading.next();
    if (next.done === true) return { entries, end: next.value };
    entries.push(next.value);
  }
}

/** A header with what a test says of it, its checksum made afterwards. */
export function header({
  name,
  type = '0',
  sizeBytes = 0,
  linkName = '',
  magic = 'ustar\u000000',
}: {
  readonly name: string | Uint8Array;
  readonly type?: string;
  readonly sizeBytes?: number;
  readonly linkName?: string;
  readonly magic?: string;
}): Buffer {
  const block = Buffer.alloc(512);
  block.set(Buffer.from(name).subarray(0, 100));
  block.write('0000644\0', 100);
  block.write(`${sizeBytes.toString(8).padStart(11, '0')}\0`, 124);
  block.write(type, 156, 'latin1');
  block.write(linkName, 157);
  block.write(magic, 257, 'latin1');
  return summed(block);
}

/** Writes the checksum of a header into it. */
export function summed(block: Buffer): Buffer {
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

/** Data, filled up to whole blocks. */
export function data(bytes: Uint8Array | string): Buffer {
  const content = Buffer.from(bytes);
  return Buffer.concat([content, Buffer.alloc((512 - (content.byteLength % 512)) % 512)]);
}

/** A file with its content. */
export function file(name: string | Uint8Array, content = ''): Buffer {
  return Buffer.concat([header({ name, sizeBytes: Buffer.byteLength(content) }), data(content)]);
}

/** A record of a pax header. */
export function paxRecord(key: string, value: string | Uint8Array): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
  let length = rest.byteLength;
  while (rest.byteLength + String(length).length > length) length += 1;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

/** A pax header, or a long name of GNU, for the entry after it. */
export function extension(type: 'x' | 'g' | 'L' | 'K', content: Uint8Array | string): Buffer {
  return Buffer.concat([header({ name: 'more', type, sizeBytes: Buffer.from(content).byteLength }), data(content)]);
}

/** What ends an archive. */
export const archiveEnd = Buffer.alloc(1024);

export function archive(...parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat([...parts, archiveEnd]);
}

/** What a command in a new directory writes into the file `made` there. */
export async function madeBy(script: string): Promise<Buffer> {
  const directory = await mkdtemp(join(tmpdir(), 'wherry-tar-'));
  try {
    const child = Bun.spawn(['sh', '-euc', script], { cwd: directory, stdin: 'ignore', stderr: 'pipe' });
    const [said, code] = await Promise.all([child.stderr.text(), child.exited]);
    if (code !== 0) throw new Error(said);
    return await readFile(join(directory, 'made'));
  } finally {
    await rm(directory, { recursive: true });
  }
}
