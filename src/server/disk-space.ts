import { statfs } from 'node:fs/promises';
import type { DiskSpace } from '../bounds/levels.ts';

/** Measures the file system that a directory is on. */
export async function diskSpace(directory: string): Promise<DiskSpace> {
  const { bavail, bfree, blocks, bsize } = await statfs(directory);
  return { freeBytes: bavail * bsize, usedBytes: (blocks - bfree) * bsize, totalBytes: blocks * bsize };
}
