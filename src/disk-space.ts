import { statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { DiskSpace } from './bounds/levels.ts';

/** Measures the file system that a directory is on. */
export async function diskSpace(directory: string): Promise<DiskSpace> {
  const { bavail, bfree, blocks, bsize } = await statfs(directory);
  return { freeBytes: bavail * bsize, usedBytes: (blocks - bfree) * bsize, totalBytes: blocks * bsize };
}

/** What the database's files in a data directory take. */
export function databaseBytes(directory: string): number {
  return fileBytes(join(directory, 'wherry.db')) + fileBytes(join(directory, 'wherry.db-wal'));
}

function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
