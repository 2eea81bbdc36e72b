import {
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  fsync,
  ftruncateSync,
  mkdirSync,
  openSync,
  type Stats,
} from 'node:fs';
import { access, type FileHandle, open, stat, truncate, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BlobMissingError, type BlobStore, type BlobWriter, type ByteRange, type ObjectId } from '../store.ts';
import { translated } from './full-disk.ts';
import { FileWriter } from './writer.ts';

/** The calls of the system by which objects come about and last. A test watches them, holds them back or lets them fail. */
export interface DirectoryCalls {
  /** Opens a file or a directory, and creates it where `flags` say so. @returns a descriptor */
  open(path: string, flags: string | number, mode?: number): number;
  /** Makes an object's bytes durable. */
  syncObject(descriptor: number): Promise<void>;
  /** Makes the names in a directory durable. */
  syncShard(descriptor: number): Promise<void>;
}

const systemCalls: DirectoryCalls = { open: openSync, syncObject: promisify(fdatasync), syncShard: promisify(fsync) };

/** Objects as files: `objects/ab/<oid>`, where `ab` are the oid's first two digits. */
export class DirectoryBlobStore implements BlobStore {
  readonly #root: string;
  readonly #calls: DirectoryCalls;
  readonly #shards = new Map<string, number>();

  private constructor(root: string, calls: DirectoryCalls) {
    this.#root = root;
    this.#calls = calls;
  }

  /** Opens or creates the store in a directory. */
  static async open(directory: string, calls: Partial<DirectoryCalls> = {}): Promise<DirectoryBlobStore> {
    const root = join(directory, 'objects');
    for (let shard = 0; shard < 256; shard++) {
      mkdirSync(join(root, shard.toString(16).padStart(2, '0')), { recursive: true });
    }
    await syncPath(root);
    await syncPath(directory);
    return new DirectoryBlobStore(root, { ...systemCalls, ...calls });
  }

  async append(oid: ObjectId, offsetBytes: number): Promise<BlobWriter> {
    try {
      return this.#openForAppending(this.#path(oid), offsetBytes);
    } catch (error) {
      throw translated(error);
    }
  }

  async truncate(oid: ObjectId, sizeBytes: number): Promise<void> {
    const path = this.#path(oid);
    const stats = await statIfThere(path);
    if (stats !== undefined && stats.size > sizeBytes) await truncate(path, sizeBytes);
  }

  async size(oid: ObjectId): Promise<number | undefined> {
    return (await statIfThere(this.#path(oid)))?.size;
  }

  read(oid: ObjectId, range?: ByteRange): Blob {
    const file = Bun.file(this.#path(oid));
    return range === undefined ? file : file.slice(range.first, range.last + 1);
  }

  async sync(oid: ObjectId): Promise<void> {
    try {
      const descriptor = this.#calls.open(this.#path(oid), constants.O_RDONLY);
      try {
        await Promise.all([this.#calls.syncObject(descriptor), this.#syncShard(oid)]);
      } finally {
        closeSync(descriptor);
      }
    } catch (error) {
      // Some file systems look for room only now.
      throw translated(error);
    }
  }

  async remove(oid: ObjectId): Promise<void> {
    try {
      await unlink(this.#path(oid));
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    await this.#syncShard(oid);
  }

  async isReady(): Promise<boolean> {
    try {
      await access(this.#root, constants.R_OK | constants.W_OK);
      return true;
    } catch {
      return false;
    }
  }

  #openForAppending(path: string, offsetBytes: number): FileWriter {
    // Appending mode: the system puts every write at the file's end, wherever the buffered sink believes to be.
    const descriptor = offsetBytes === 0 ? this.#calls.open(path, 'a', 0o640) : this.#openForMore(path);
    try {
      const { size } = fstatSync(descriptor);
      if (size < offsetBytes) {
        throw new BlobMissingError(`the upload's file holds ${size} bytes, not ${offsetBytes}`);
      }
      if (size > offsetBytes) ftruncateSync(descriptor, offsetBytes);
      return new FileWriter(path, descriptor);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  #openForMore(path: string): number {
    try {
      return this.#calls.open(path, constants.O_WRONLY | constants.O_APPEND);
    } catch (error) {
      if (!isMissing(error)) throw error;
      throw new BlobMissingError("the upload's file is gone", { cause: error });
    }
  }

  #path(oid: ObjectId): string {
    return `${this.#root}/${oid.slice(0, 2)}/${oid}`;
  }

  /** A directory, once synced, stays open: there are 256 at most, and opening takes as long as syncing does. */
  async #syncShard(oid: ObjectId): Promise<void> {
    const shard = oid.slice(0, 2);
    let descriptor = this.#shards.get(shard);
    if (descriptor === undefined) {
      descriptor = this.#calls.open(join(this.#root, shard), constants.O_RDONLY);
      this.#shards.set(shard, descriptor);
    }
    await this.#calls.syncShard(descriptor);
  }
}

async function syncPath(path: string): Promise<void> {
  const handle: FileHandle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
