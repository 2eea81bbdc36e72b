import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SmallDisk } from '../clients/small-disk.ts';

/** Where the registry of a soak has its data. */
export interface SoakDisk extends AsyncDisposable {
  readonly directory: string;
  /** What a command begins with whose process is to see it. */
  readonly entering: readonly string[];
  /** As this process can reach it. */
  path(name: string): string;
  /** What is on the file system; undefined where others are on it too. */
  readonly usedBytes: number | undefined;
}

/** A file system of its own, in memory; a directory of the system's where none can be mounted. */
export async function soakDisk(mebibytes: number): Promise<SoakDisk> {
  try {
    const disk = await SmallDisk.make({ mebibytes, files: 200_000 });
    return {
      directory: disk.directory,
      entering: disk.entering,
      path: (name) => disk.path(name),
      get usedBytes() {
        const { blocks, bfree, bsize } = statfsSync(disk.path('.'));
        return (blocks - bfree) * bsize;
      },
      [Symbol.asyncDispose]: async () => await disk[Symbol.asyncDispose](),
    };
  } catch (error) {
    console.log(`no file system can be mounted here, so bytes are counted: ${String(error)}`);
    const directory = mkdtempSync(join(tmpdir(), 'wherry-soak-'));
    return {
      directory,
      entering: [],
      path: (name) => join(directory, name),
      usedBytes: undefined,
      [Symbol.asyncDispose]: async () => rmSync(directory, { recursive: true }),
    };
  }
}
