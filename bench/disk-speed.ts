import { rm } from 'node:fs/promises';
import path from 'node:path';
import { outputOf } from './command.ts';
import type { SourceBlob } from './source-blob.ts';

/**
 * How fast the disk takes the blob when nothing but dd copies it into a file and syncs that once: no registry that syncs
 * what it acknowledges can push faster.
 *
 * @returns megabytes (10^6 bytes) a second
 */
export async function measureDisk(directory: string, blob: SourceBlob): Promise<number> {
  const copy = path.join(directory, 'disk-speed');
  const startedAt = performance.now();
  await outputOf(['dd', `if=${blob.path}`, `of=${copy}`, 'bs=1M', 'conv=fdatasync', 'status=none']);
  const seconds = (performance.now() - startedAt) / 1000;
  await rm(copy);
  return blob.sizeBytes / 1e6 / seconds;
}
