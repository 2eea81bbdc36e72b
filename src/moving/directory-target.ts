import { constants, existsSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DirectoryBlobStore } from '../blobs/directory/store.ts';
import type { ObjectId } from '../blobs/store.ts';
import { type BlobTarget, isObjectId, type MovedBlob } from './blob-target.ts';
import { verified } from './verified-bytes.ts';

/**
 * The directory of a registry that blobs are copied to. A blob is written in the directory `moving` beside the others, and
 * gets its name once it is found to be right and is on the disk.
 */
export class DirectoryTarget implements BlobTarget {
  readonly #objects: string;
  readonly #moving: string;
  readonly #store: Pick<DirectoryBlobStore, 'setGeneration' | 'leaveRegistry'>;
  readonly #syncDirectory: (path: string) => Promise<void>;

  /** @param sync makes the names in a directory survive a power cut */
  constructor(
    dataDirectory: string,
    store: Pick<DirectoryBlobStore, 'setGeneration' | 'leaveRegistry'>,
    sync = syncDirectory,
  ) {
    this.#objects = join(dataDirectory, 'objects');
    this.#moving = join(dataDirectory, 'moving');
    this.#store = store;
    this.#syncDirectory = sync;
  }

  async isBegun(): Promise<boolean> {
    return existsSync(this.#moving);
  }

  async begin(): Promise<void> {
    await mkdir(this.#moving, { recursive: true, mode: 0o750 });
    for (const name of await readdir(this.#moving)) await rm(join(this.#moving, name));
    await this.#syncDirectory(join(this.#moving, '..'));
  }

  async end(): Promise<void> {
    await rm(this.#moving, { recursive: true, force: true });
    await this.#syncDirectory(join(this.#moving, '..'));
  }

  async present(shard: string): Promise<ReadonlySet<ObjectId>> {
    return new Set((await readdir(join(this.#objects, shard))).filter(isObjectId));
  }

  async keepOnly(shard: string, kept: ReadonlySet<ObjectId>): Promise<void> {
    const directory = join(this.#objects, shard);
    for (const oid of await this.present(shard)) {
      if (!kept.has(oid)) await rm(join(directory, oid), { force: true });
    }
    await this.#syncDirectory(directory);
  }

  async put(blob: MovedBlob, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    const part = join(this.#moving, blob.oid);
    const directory = join(this.#objects, blob.oid.slice(0, 2));
    try {
      const file = await open(part, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC, 0o640);
      try {
        for await (const chunk of verified(blob, bytes)) await file.appendFile(chunk);
        await file.datasync();
      } finally {
        await file.close();
      }
      await rename(part, join(directory, blob.oid));
      await this.#syncDirectory(directory);
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    }
  }

  async setGeneration(generation: number): Promise<void> {
    await this.#store.setGeneration(generation);
  }

  async leaveRegistry(id: string): Promise<void> {
    await this.#store.leaveRegistry(id);
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
