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
import { access, type FileHandle, open, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BlobMissingError, type BlobStore, type BlobWriter, type ByteRange, type ObjectId } from '../store.ts';
import { FileWriter } from './writer.ts';

/** How an object becomes durable: its bytes, and its name in the directory that holds it. Each takes a descriptor. */
export interface DirectorySyncs {
  object(descriptor: number): Promise<void>;
  shard(descriptor: number): Promise<void>;
}

const systemSyncs: DirectorySyncs = { object: promisify(fdatasync), shard: promisify(fsync) };

/** Objects as files: `objects/ab/<oid>`, where `ab` are the oid's first two digits. */
export class DirectoryBlobStore implements BlobStore {
  readonly #root: string;
  readonly #syncs: DirectorySyncs;
  readonly #shards = new Map<string, number>();

  private constructor(root: string, syncs: DirectorySyncs) {
    this.#root = root;
    this.#syncs = syncs;
  }

  /**
   * Opens or creates the store in a directory.
   * @param syncs make objects durable; passed in so that a test can watch them, hold them back or let them fail
   */
  static async open(directory: string, syncs: DirectorySyncs = systemSyncs): Promise<DirectoryBlobStore> {
    const root = join(directory, 'objects');
    for (let shard = 0; shard < 256; shard++) {
      mkdirSync(join(root, shard.toString(16).padStart(2, '0')), { recursive: true });
    }
    await syncPath(root);
    await syncPath(directory);
    return new DirectoryBlobStore(root, syncs);
  }

  async append(oid: ObjectId, offsetBytes: number): Promise<BlobWriter> {
    const path = this.#path(oid);
    // Appending mode: the system puts every write at the file's end, wherever the buffered sink believes to be.
    const descriptor = offsetBytes === 0 ? openSync(path, 'a', 0o640) : openForMore(path);
    try {
      const { size } = fstatSync(descriptor);
      if (size < offsetBytes) {
        throw new BlobMissingError(`the upload's file holds ${size} bytes, not ${offsetBytes}`);
      }
      if (size > offsetBytes) ftruncateSync(descriptor, offsetBytes);
      return new FileWriter(descriptor);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  async size(oid: ObjectId): Promise<number | undefined> {
    return (await statIfThere(this.#path(oid)))?.size;
  }

  read(oid: ObjectId, range?: ByteRange): Blob {
    const file = Bun.file(this.#path(oid));
    return range === undefined ? file : file.slice(range.first, range.last + 1);
  }

  async sync(oid: ObjectId): Promise<void> {
    const descriptor = openSync(this.#path(oid), constants.O_RDONLY);
    try {
      await Promise.all([this.#syncs.object(descriptor), this.#syncShard(oid)]);
    } finally {
      closeSync(descriptor);
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

  #path(oid: ObjectId): string {
    return `${this.#root}/${oid.slice(0, 2)}/${oid}`;
  }

  /** A directory, once synced, stays open: there are 256 at most, and opening takes as long as syncing does. */
  async #syncShard(oid: ObjectId): Promise<void> {
    const shard = oid.slice(0, 2);
    let descriptor = this.#shards.get(shard);
    if (descriptor === undefined) {
      descriptor = openSync(join(this.#root, shard), constants.O_RDONLY);
      this.#shards.set(shard, descriptor);
    }
    await this.#syncs.shard(descriptor);
  }
}

function openForMore(path: string): number {
  try {
    return openSync(path, constants.O_WRONLY | constants.O_APPEND);
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new BlobMissingError("the upload's file is gone", { cause: error });
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
