import { basename, join } from 'node:path';
import {
  BlobMissingError,
  type BlobStore,
  type BlobWriter,
  type ByteRange,
  type ObjectId,
  type Shredded,
  registriesAmong,
} from '../store.ts';
import {
  appendOnly,
  type DirectoryCalls,
  directoryCalls,
  fileSystemKind,
  isMissing,
  isUsable,
  namesIn,
  openRemovedFiles,
  readOnly,
  sizeOfOpen,
  statIfThere,
  textIfThere,
  writeOnly,
} from './calls.ts';
import { translated } from './full-disk.ts';
import { overwriting } from './overwriting.ts';
import { FileWriter } from './writer.ts';

/** How many digits each line of the file `generation` has. */
const generationDigits = 16;
/** How many lines it has at most. */
const generationLines = 64;

/** So many bytes are overwritten with one call. */
const shreddedAtOnceBytes = 1024 * 1024;

/** Objects as files: `objects/ab/<oid>`, where `ab` are the oid's first two digits. */
export class DirectoryBlobStore implements BlobStore {
  readonly isSizeCheap = true;
  readonly lateWritesMs = 0;
  readonly mayKeepRemoved = false;
  readonly #directory: string;
  readonly #root: string;
  readonly #calls: DirectoryCalls;
  readonly #shards = new Map<string, number>();

  private constructor(directory: string, root: string, calls: DirectoryCalls) {
    this.#directory = directory;
    this.#root = root;
    this.#calls = calls;
  }

  /** Opens or creates the store in a directory. */
  static async open(directory: string, some: Partial<DirectoryCalls> = {}): Promise<DirectoryBlobStore> {
    const calls = { ...directoryCalls, ...some };
    const root = join(directory, 'objects');
    for (let shard = 0; shard < 256; shard++) {
      calls.makeDirectory(join(root, shard.toString(16).padStart(2, '0')));
    }
    for (const path of [root, directory]) await calls.syncDirectory(path);
    return new DirectoryBlobStore(directory, root, calls);
  }

  /** The store that a server has opened in a directory, for another process to read from. */
  static openForReading(directory: string): Pick<BlobStore, 'read'> {
    return new DirectoryBlobStore(directory, join(directory, 'objects'), directoryCalls);
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
    if (stats === undefined || stats.size <= sizeBytes) return;
    try {
      await this.#calls.truncate(path, sizeBytes);
    } catch (error) {
      if (!isMissing(error)) throw translated(error);
    }
  }

  async copy(from: ObjectId, to: ObjectId, sizeBytes: number): Promise<void> {
    try {
      await this.#calls.copy(this.#path(from), this.#path(to));
    } catch (error) {
      if (!isMissing(error)) throw translated(error);
    }
    await this.truncate(to, sizeBytes);
  }

  async cutBack(oid: ObjectId, offsetBytes: number): Promise<number> {
    await this.truncate(oid, offsetBytes);
    return (await this.size(oid)) ?? 0;
  }

  async size(oid: ObjectId): Promise<number | undefined> {
    return (await statIfThere(this.#path(oid)))?.size;
  }

  read(oid: ObjectId, range?: ByteRange): Blob {
    const file = Bun.file(this.#path(oid));
    return range === undefined ? file : file.slice(range.first, range.last + 1);
  }

  open(oid: ObjectId, _sizeBytes: number, range?: ByteRange): Promise<Blob> {
    return Promise.resolve(this.read(oid, range));
  }

  publicUrl(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async sync(oid: ObjectId): Promise<void> {
    try {
      const descriptor = this.#calls.open(this.#path(oid), readOnly);
      try {
        await Promise.all([this.#calls.syncObject(descriptor), this.#syncShard(oid)]);
      } finally {
        this.#calls.close(descriptor);
      }
    } catch (error) {
      // Some file systems look for room only now.
      throw translated(error);
    }
  }

  async remove(oid: ObjectId): Promise<void> {
    try {
      await this.#calls.unlink(this.#path(oid));
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    await this.#syncShard(oid);
  }

  async shred(oid: ObjectId): Promise<Shredded> {
    const paths = [this.#path(oid), this.#quarantinedPath(oid)];
    const sizes = await Promise.all(paths.map(async (path) => (await statIfThere(path))?.size));
    const bytes = sizes.reduce((sum: number, size) => sum + (size ?? 0), 0);
    if (bytes === 0) {
      const isMissingFile = sizes.every((size) => size === undefined);
      return {
        outcome: 'gone',
        words: isMissingFile ? 'its file was not there any more' : 'its file was empty already',
      };
    }
    const { isMeaningful, words } = overwriting(await fileSystemKind(this.#root));
    if (!isMeaningful) return { outcome: 'not-overwritten', words };
    for (const path of paths) {
      if (!(await this.#overwrite(path)))
        return { outcome: 'gone', words: 'its file went while it was to be overwritten' };
    }
    return { outcome: 'overwritten', words };
  }

  /** @returns false where the file went after it was looked for */
  async #overwrite(path: string): Promise<boolean> {
    const stats = await statIfThere(path);
    if (stats === undefined) return true;
    let descriptor: number;
    try {
      descriptor = this.#calls.open(path, writeOnly);
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
    try {
      const piece = new Uint8Array(shreddedAtOnceBytes);
      for (let position = 0; position < stats.size; position += piece.byteLength) {
        // As many random bytes as a call gives.
        for (let at = 0; at < piece.byteLength; at += 65_536) crypto.getRandomValues(piece.subarray(at, at + 65_536));
        const length = Math.min(piece.byteLength, stats.size - position);
        await this.#calls.overwrite(descriptor, piece.subarray(0, length), position);
      }
      await this.#calls.syncObject(descriptor);
    } finally {
      this.#calls.close(descriptor);
    }
    return true;
  }

  async cutRemoved(oids: ReadonlySet<ObjectId>): Promise<void> {
    for await (const descriptor of openRemovedFiles((path) => oids.has(basename(path)))) {
      try {
        this.#calls.cutOff(descriptor, 0);
      } finally {
        this.#calls.close(descriptor);
      }
    }
  }

  async removeQuarantined(oid: ObjectId): Promise<void> {
    const path = this.#quarantinedPath(oid);
    if ((await statIfThere(path)) === undefined) return;
    try {
      await this.#calls.truncate(path, 0);
      await this.#calls.unlink(path);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    await this.#calls.syncDirectory(this.#quarantine);
  }

  async isQuarantined(oid: ObjectId): Promise<boolean> {
    return (await statIfThere(this.#quarantinedPath(oid))) !== undefined;
  }

  async quarantinedCount(): Promise<number> {
    return (await namesIn(this.#quarantine)).length;
  }

  async generation(): Promise<number | undefined> {
    const text = await textIfThere(this.#generationPath);
    return text === undefined ? undefined : Math.max(0, ...(text.match(/\d+/g) ?? []).map(Number));
  }

  async setGeneration(generation: number): Promise<void> {
    if (((await this.generation()) ?? 0) >= generation) return;
    // Of a fixed length, so that it can be written over in place; the next number goes into the next line, so that of several
    // processes which write at once none writes over a greater one.
    const line = `${String(generation).padStart(generationDigits, '0')}\n`;
    const position = ((generation - 1) % generationLines) * line.length;
    try {
      await this.#calls.writeSynced(this.#generationPath, line, position);
      await this.#calls.syncDirectory(this.#directory);
    } catch (error) {
      throw translated(error);
    }
  }

  async registries(): Promise<readonly string[]> {
    return registriesAmong(await namesIn(this.#registries));
  }

  async leaveRegistry(id: string): Promise<void> {
    try {
      this.#calls.makeDirectory(this.#registries);
      await this.#calls.writeSynced(join(this.#registries, id), `${id}\n`, 0);
      for (const path of [this.#registries, this.#directory]) await this.#calls.syncDirectory(path);
    } catch (error) {
      throw translated(error);
    }
  }

  /** Beside the objects, as what else says something of all of them. */
  get #registries(): string {
    return join(this.#directory, 'registries');
  }

  /** Where fsck puts what is damaged. */
  get #quarantine(): string {
    return join(this.#directory, 'quarantine');
  }

  #quarantinedPath(oid: ObjectId): string {
    return join(this.#directory, 'quarantine', oid);
  }

  get #generationPath(): string {
    // Not among the objects: a copy of those is taken after one of the database, and must not count as newer.
    return join(this.#directory, 'generation');
  }

  async isReady(): Promise<boolean> {
    return await isUsable(this.#root);
  }

  #openForAppending(path: string, offsetBytes: number): FileWriter {
    // Appending mode: the system puts every write at the file's end, wherever the buffered sink believes to be.
    const descriptor = offsetBytes === 0 ? this.#calls.open(path, 'a', 0o640) : this.#openForMore(path);
    try {
      const size = sizeOfOpen(descriptor);
      if (size < offsetBytes) {
        throw new BlobMissingError(`the upload's file holds ${size} bytes, not ${offsetBytes}`, {
          availableBytes: size,
        });
      }
      if (size > offsetBytes) this.#calls.cutOff(descriptor, offsetBytes);
      return new FileWriter(path, descriptor, this.#calls);
    } catch (error) {
      this.#calls.close(descriptor);
      throw error;
    }
  }

  #openForMore(path: string): number {
    try {
      return this.#calls.open(path, appendOnly);
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
      descriptor = this.#calls.open(join(this.#root, shard), readOnly);
      this.#shards.set(shard, descriptor);
    }
    await this.#calls.syncShard(descriptor);
  }
}
