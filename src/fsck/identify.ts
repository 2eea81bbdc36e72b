import { DigestHasher } from '../oci/digest.ts';
import { lookedAtBytes, looksLike } from './looks-like.ts';
import type { StoredBytes } from './stored-bytes.ts';

/** What is found out of bytes that no row knows. */
export interface Identified {
  readonly digest: string;
  readonly sizeBytes: number;
  /** What they seem to be, in words. */
  readonly looks: string;
}

/**
 * Reads an object that no row knows, to say what it is.
 * @returns undefined where it is gone @throws UnreadableError; BytesGoneError
 */
export async function identify(
  bytes: Pick<StoredBytes, 'sizeOf' | 'read'>,
  oid: string,
): Promise<Identified | undefined> {
  const storedBytes = await bytes.sizeOf(oid);
  if (storedBytes === undefined) return undefined;
  const hasher = new DigestHasher('sha256');
  const start: Uint8Array[] = [];
  let [startBytes, sizeBytes] = [0, 0];
  for await (const piece of bytes.read(oid, storedBytes)) {
    hasher.update(piece);
    sizeBytes += piece.byteLength;
    if (startBytes === lookedAtBytes) continue;
    // The piece may be written over.
    const kept = piece.slice(0, lookedAtBytes - startBytes);
    start.push(kept);
    startBytes += kept.byteLength;
  }
  return { digest: hasher.digest(), sizeBytes, looks: looksLike(Buffer.concat(start), sizeBytes) };
}
