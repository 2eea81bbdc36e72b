import { algorithmOf, DigestHasher } from '../oci/digest.ts';
import { BlobDamagedError, type MovedBlob } from './blob-target.ts';

/** The bytes of a blob as they come. At the end they are known to be the blob. @throws BlobDamagedError */
export async function* verified(
  { digest, sizeBytes }: MovedBlob,
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const hasher = new DigestHasher(algorithmOf(digest));
  let come = 0;
  for await (const chunk of bytes) {
    come += chunk.byteLength;
    if (come > sizeBytes) throw new BlobDamagedError(`it has more bytes than ${sizeBytes}`);
    hasher.update(chunk);
    yield chunk;
  }
  if (come !== sizeBytes) throw new BlobDamagedError(`it has ${come} bytes, not ${sizeBytes}`);
  const actual = hasher.digest();
  if (actual !== digest) throw new BlobDamagedError(`its bytes have the digest ${actual}`);
}
