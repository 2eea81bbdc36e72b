import { ByteSource, type Chunks } from './byte-source.ts';
import { compressionOf, DamagedStreamError, decompressed } from './decompressed.ts';
import { type LayerEntry, tarEntries } from './tar-entries.ts';
import { blockBytes, isZeroBlock, parseTarHeader } from './tar-header.ts';

export type { EntryType, LayerEntry } from './tar-entries.ts';

/** How far a blob could be looked into. */
export type LayerEnd =
  | { readonly kind: 'whole' }
  /** It holds something else than a tar archive. */
  | { readonly kind: 'no archive' }
  /** It could not be read to its end, and why. */
  | { readonly kind: 'unread'; readonly reason: string };

export interface LayerBounds {
  /** So much of a layer is read at most, decompressed, in bytes. */
  readonly maxLayerBytes: number;
}

/** More has come than is read. */
class TooLargeError extends Error {
  override readonly name = 'TooLargeError';
}

/**
 * The entries of a layer, whatever its media type says: a tar archive, as it is or compressed with gzip or zstd, which its
 * first bytes tell. It takes no more memory for a large layer than for a small one. What is damaged ends it, or is passed
 * over where that is possible; it is no error.
 *
 * @param chunks the blob's bytes, in chunks of any length
 * @throws what the chunks fail with
 */
export async function* layerEntries(
  chunks: Chunks,
  { maxLayerBytes }: LayerBounds,
): AsyncGenerator<LayerEntry, LayerEnd, undefined> {
  const blob = new ByteSource(chunks);
  const compression = compressionOf(await blob.peek(4));
  const bytes = compression === undefined ? blob.rest() : decompressed(blob.rest(), compression);
  const tar = new ByteSource(bounded(bytes, maxLayerBytes));
  try {
    const start = await tar.peek(blockBytes);
    // An empty archive has nothing but zeros.
    const isArchive = isZeroBlock(start) || parseTarHeader(start) !== undefined;
    if (!isArchive) return { kind: 'no archive' };
    const reason = yield* tarEntries(tar);
    return reason === undefined ? { kind: 'whole' } : { kind: 'unread', reason };
  } catch (error) {
    if (!(error instanceof DamagedStreamError || error instanceof TooLargeError)) throw error;
    return { kind: 'unread', reason: error.message };
  } finally {
    await tar.close();
  }
}

async function* bounded(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let left = maxBytes;
  for await (const chunk of chunks) {
    if (chunk.byteLength > left) {
      if (left > 0) yield chunk.subarray(0, left);
      throw new TooLargeError(`it is larger than ${maxBytes} bytes once it is decompressed`);
    }
    left -= chunk.byteLength;
    yield chunk;
  }
}
