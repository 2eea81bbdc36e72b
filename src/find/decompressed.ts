import type { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createGunzip, createZstdDecompress } from 'node:zlib';
import { ZstdFrames } from './zstd-frames.ts';

export type Compression = 'gzip' | 'zstd';

/** How much of a zstd stream may be looked back to, as a power of two: 128 MiB, which is held in memory. As much as `zstd` allows without being asked. */
const longestWindowLog = 27;

/** So much comes at once, in bytes. Less takes longer, more loses more of what comes before damage. */
const chunkSize = 128 * 1024;

/** Why something could not be decompressed to its end, in words. */
export class DamagedStreamError extends Error {
  override readonly name = 'DamagedStreamError';
}

/** What a layer's first bytes say of how it is compressed; skippable frames may come before those of zstd. */
export function compressionOf(start: Uint8Array): Compression | undefined {
  const [a, b, c, d] = start;
  if (a === 0x1f && b === 0x8b && c === 8) return 'gzip';
  const isFrame = a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd;
  const isSkippable = a !== undefined && a >> 4 === 5 && b === 0x2a && c === 0x4d && d === 0x18;
  return isFrame || isSkippable ? 'zstd' : undefined;
}

/**
 * Decompresses a stream of any number of members or frames, off this thread. What can be decompressed before it turns out
 * to be damaged comes first, but for the last 128 KiB at most.
 * @throws DamagedStreamError; whatever the chunks fail with
 */
export async function* decompressed(
  chunks: AsyncIterable<Uint8Array>,
  compression: Compression,
): AsyncGenerator<Uint8Array, void, undefined> {
  const decompressor = compression === 'gzip' ? createGunzip({ chunkSize }) : newZstdDecompressor();
  const frames = compression === 'zstd' ? new WholeFrames(chunks) : undefined;
  const feeding = pipeline(frames?.passed() ?? chunks, decompressor);
  // It is looked at below, unless whoever reads has gone.
  feeding.catch(() => undefined);
  try {
    for await (const chunk of decompressor) yield bytesOf(chunk);
    await feeding;
  } catch (error) {
    throw damage(error, compression) ?? error;
  } finally {
    decompressor.destroy();
  }
  const problem = frames?.problem;
  if (problem !== undefined) throw new DamagedStreamError(problem);
}

function newZstdDecompressor(): Transform {
  return createZstdDecompress({ chunkSize, params: { [constants.ZSTD_d_windowLogMax]: longestWindowLog } });
}

/** Passes a zstd stream on, and looks whether its frames are whole. */
class WholeFrames {
  readonly #chunks: AsyncIterable<Uint8Array>;
  readonly #frames = new ZstdFrames();
  #problem: string | undefined;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks;
  }

  async *passed(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of this.#chunks) {
      this.#problem ??= this.#frames.take(chunk);
      yield chunk;
    }
  }

  /** Once all has been passed on. A failure here would take away what is still being decompressed. */
  get problem(): string | undefined {
    return this.#problem ?? (this.#frames.isBetweenFrames ? undefined : 'it has been cut off');
  }
}

/** What the decompressor says of its input; undefined for what it is not to blame for. */
function damage(error: unknown, compression: Compression): DamagedStreamError | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  if (error.code === 'Z_BUF_ERROR') return new DamagedStreamError('it has been cut off', { cause: error });
  if (!/^(Z_|ZSTD_)/.test(error.code)) return undefined;
  return new DamagedStreamError(`${compression} cannot decompress it: ${error.message}`, { cause: error });
}

function bytesOf(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  throw new TypeError('a decompressor gives bytes');
}
