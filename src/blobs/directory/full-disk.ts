import { BlobStoreFullError } from '../store.ts';

/** No blocks or no inodes, no quota, or a file as large as the system lets it be. */
const fullDiskCodes = new Set<unknown>(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** What the system refused, as a BlobStoreFullError where there is no room; anything else as it is. */
export function translated(error: unknown): unknown {
  if (error instanceof Error && 'code' in error && fullDiskCodes.has(error.code)) {
    return new BlobStoreFullError('the disk that holds the blobs is full', { cause: error });
  }
  return error;
}
