import {
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  fsync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readlinkSync,
  type Stats,
  write,
} from 'node:fs';
import { access, copyFile, open, readdir, readFile, stat, statfs, truncate, unlink } from 'node:fs/promises';
import { promisify } from 'node:util';

const writeAt = promisify(write);

/**
 * All calls by which objects come about, change and go: nothing else in this room may touch the disk, which
 * .oxlintrc.json holds. A test watches them, holds them back, lets them fail, and ends the process before or after each
 * of them (test/crash).
 */
export interface DirectoryCalls {
  /** Makes a directory, and those above it, where it is not there. */
  makeDirectory(path: string): void;
  /** Makes the names in a directory durable that is not open. */
  syncDirectory(path: string): Promise<void>;
  /** Opens a file or a directory, and creates it where `flags` say so. @returns a descriptor */
  open(path: string, flags: string | number, mode?: number): number;
  close(descriptor: number): void;
  /** Cuts off what is behind an open file's first bytes. */
  cutOff(descriptor: number, sizeBytes: number): void;
  /** The same for a file that is not open. */
  truncate(path: string, sizeBytes: number): Promise<void>;
  /** Copies a file to where there is none, sharing the blocks where the file system can. */
  copy(from: string, to: string): Promise<void>;
  write(sink: Bun.FileSink, chunk: Uint8Array): number | Promise<number>;
  flush(sink: Bun.FileSink): number | Promise<number>;
  /** Writes what is left and closes. */
  end(sink: Bun.FileSink): number | Promise<number>;
  unlink(path: string): Promise<void>;
  /** Writes over what stands in a file that is open. */
  overwrite(descriptor: number, bytes: Uint8Array, position: number): Promise<void>;
  /** Writes a short text into a file, made where there is none, and syncs it. Needs no room where there is a text already. */
  writeSynced(path: string, text: string, position: number): Promise<void>;
  /** Makes an object's bytes durable. */
  syncObject(descriptor: number): Promise<void>;
  /** Makes the names in a directory durable. */
  syncShard(descriptor: number): Promise<void>;
}

export const directoryCalls: DirectoryCalls = {
  makeDirectory: (path) => void mkdirSync(path, { recursive: true }),
  syncDirectory: async (path) => {
    await using directory = await open(path, 'r');
    await directory.sync();
  },
  open: openSync,
  close: closeSync,
  cutOff: ftruncateSync,
  truncate,
  copy: async (from, to) => await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE),
  write: (sink, chunk) => sink.write(chunk),
  flush: (sink) => sink.flush(),
  end: (sink) => sink.end(),
  unlink,
  overwrite: async (descriptor, bytes, position) => {
    for (let done = 0; done < bytes.byteLength;) {
      done += (await writeAt(descriptor, bytes, done, bytes.byteLength - done, position + done)).bytesWritten;
    }
  },
  writeSynced: async (path, text, position) => {
    await using file = await open(path, constants.O_WRONLY | constants.O_CREAT, 0o640);
    await file.write(text, position);
    await file.sync();
  },
  syncObject: promisify(fdatasync),
  syncShard: promisify(fsync),
};

/** Writes over what is there. */
export const writeOnly = constants.O_WRONLY;
/** Reads, creates nothing. */
export const readOnly = constants.O_RDONLY;
/** Writes at the end of a file that is there. */
export const appendOnly = constants.O_WRONLY | constants.O_APPEND;

export async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** What a directory has; nothing where it is not there. */
export async function namesIn(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Where Linux shows what a process has open. */
const openFiles = '/proc/self/fd';
/** What it says of a file whose name is gone. */
const removedMark = ' (deleted)';

/**
 * Opens for writing, one after the other, those files that this process has open already and whose names are gone, where
 * `isWanted` says so of the path that a file had. Whoever asks closes them.
 */
export async function* openRemovedFiles(isWanted: (path: string) => boolean): AsyncGenerator<number, void, undefined> {
  for (const name of await namesIn(openFiles)) {
    if (!isOfWanted(name)) continue;
    let descriptor: number;
    try {
      descriptor = openSync(`${openFiles}/${name}`, writeOnly);
    } catch (error) {
      if (isOfWanted(name)) throw error;
      continue;
    }
    // The number may have come to be another file's before it was opened: what was opened stays what it is.
    if (isOfWanted(String(descriptor))) yield descriptor;
    else closeSync(descriptor);
  }

  function isOfWanted(name: string): boolean {
    const path = removedPathOf(name);
    return path !== undefined && isWanted(path);
  }
}

/** The path that an open file had before it was removed; undefined where it is closed by now, or was not removed. */
function removedPathOf(descriptor: string): string | undefined {
  try {
    const target = readlinkSync(`${openFiles}/${descriptor}`);
    return target.endsWith(removedMark) ? target.slice(0, -removedMark.length) : undefined;
  } catch {
    return undefined;
  }
}

/** The number by which the system knows the kind of a file system. */
export async function fileSystemKind(path: string): Promise<number> {
  return (await statfs(path)).type;
}

export async function textIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

export function sizeOfOpen(descriptor: number): number {
  return fstatSync(descriptor).size;
}

/** Whether a directory can be read and written. */
export async function isUsable(path: string): Promise<boolean> {
  try {
    await access(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
