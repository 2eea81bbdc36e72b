import {
  type Dirent,
  existsSync,
  mkdirSync,
  opendirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { CannotCheckError } from '../records.ts';
import {
  BytesGoneError,
  objectName,
  type StoredBytes,
  type StoredThing,
  type ThingFacts,
  UnreadableError,
} from '../stored-bytes.ts';
import { syncDirectory } from './synced-directory.ts';

const shardName = /^[0-9a-f]{2}$/;
const pieceBytes = 1024 * 1024;

/** Blobs in a data directory: `objects/ab/<oid>`, and beside that `quarantine/<oid>`, `generation` and `registries/<id>`. */
export class DirectoryBytes implements StoredBytes {
  readonly #directory: string;
  readonly #root: string;
  readonly #piece = new Uint8Array(pieceBytes);
  /** What lies in `objects/`, in its order. */
  #shards: readonly string[] | undefined;

  private constructor(directory: string) {
    this.#directory = directory;
    this.#root = join(directory, 'objects');
  }

  /** @throws CannotCheckError where there is no place for blobs, where all of them would count as lost */
  static open(directory: string): DirectoryBytes {
    const objects = join(directory, 'objects');
    if (existsSync(objects)) return new DirectoryBytes(directory);
    throw new CannotCheckError(
      `there is no ${objects}: either it was lost, or the blobs of this registry lie elsewhere, which blobs has to say`,
    );
  }

  placeOf(oid: string): string {
    return join(this.#root, oid.slice(0, 2), oid);
  }

  async sizesOf(): Promise<ReadonlyMap<string, number>> {
    return new Map();
  }

  async sizeOf(oid: string): Promise<number | undefined> {
    const file = statSync(this.placeOf(oid), { throwIfNoEntry: false });
    return file?.isFile() === true ? file.size : undefined;
  }

  /** One of 256 parts of all names, and what is none of them by itself. */
  async thingsAfter(after: StoredThing | undefined): Promise<readonly StoredThing[]> {
    this.#shards ??= readdirSync(this.#root).toSorted();
    const last = after === undefined ? '' : this.#shardOf(after);
    for (const shard of this.#shards) {
      if (shard <= last) continue;
      const path = join(this.#root, shard);
      const things = shardName.test(shard)
        ? namesIn(path).map((name) => thing(shard, join(path, name)))
        : [unknown(path)];
      if (things.length > 0) return things;
    }
    return [];
  }

  #shardOf({ place }: StoredThing): string {
    return place.slice(this.#root.length + 1).split('/')[0] ?? '';
  }

  async look({ place }: StoredThing): Promise<ThingFacts | undefined> {
    const file = statSync(place, { throwIfNoEntry: false });
    return file === undefined ? undefined : { sizeBytes: file.size, changedAt: file.mtimeMs };
  }

  /** An upload's file is the object's from its first byte. */
  async *uploads(): AsyncGenerator<readonly [], void, undefined> {}

  async isUnfinished(): Promise<boolean> {
    return false;
  }

  async *read(oid: string): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      await using file = await open(this.placeOf(oid), 'r');
      for (;;) {
        const { bytesRead } = await file.read(this.#piece, 0, pieceBytes, null);
        if (bytesRead === 0) return;
        yield this.#piece.subarray(0, bytesRead);
      }
    } catch (error) {
      throw told(error);
    }
  }

  async sync(oid: string): Promise<void> {
    const place = this.placeOf(oid);
    try {
      await using file = await open(place, 'r');
      await file.sync();
      syncDirectory(dirname(place));
      // Whoever has copied them here may have made that as well.
      syncDirectory(this.#root);
    } catch (error) {
      throw told(error);
    }
  }

  async isQuarantined(oid: string): Promise<boolean> {
    return existsSync(join(this.#directory, 'quarantine', oid));
  }

  /** By a rename: whoever removes the object before finds nothing here, and whoever does so after removes it here. */
  async quarantine(oid: string): Promise<string | undefined> {
    const from = this.placeOf(oid);
    const directory = join(this.#directory, 'quarantine');
    mkdirSync(directory, { recursive: true, mode: 0o750 });
    syncDirectory(this.#directory);
    const to = join(directory, oid);
    try {
      renameSync(from, to);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    syncDirectory(directory);
    syncDirectory(dirname(from));
    return to;
  }

  async remove(place: string): Promise<void> {
    try {
      unlinkSync(place);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    syncDirectory(dirname(place));
  }

  async abort(): Promise<void> {}

  async generation(): Promise<{ readonly place: string; readonly number: number }> {
    const place = join(this.#directory, 'generation');
    try {
      return { place, number: Math.max(0, ...(readFileSync(place, 'utf8').match(/\d+/g) ?? []).map(Number)) };
    } catch {
      return { place, number: 0 };
    }
  }

  async registries(): Promise<{ readonly place: string; readonly ids: readonly string[] }> {
    const directory = join(this.#directory, 'registries');
    return {
      place: `${directory}/`,
      ids: (existsSync(directory) ? readdirSync(directory) : []).filter((name) => objectName.test(name)),
    };
  }
}

function thing(shard: string, path: string): StoredThing {
  const name = basename(path);
  const isObject = objectName.test(name) && name.startsWith(shard);
  return { place: path, about: path, oid: isObject ? name : undefined, isPiece: false };
}

function unknown(path: string): StoredThing {
  return { place: path, about: path, oid: undefined, isPiece: false };
}

function namesIn(directory: string): readonly string[] {
  const opened = opendirSync(directory);
  const names: string[] = [];
  try {
    for (let entry: Dirent | null = opened.readSync(); entry !== null; entry = opened.readSync())
      names.push(entry.name);
  } finally {
    opened.closeSync();
  }
  return names;
}

function told(error: unknown): Error {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ENOENT') return new BytesGoneError('the file is gone', { cause: error });
  return new UnreadableError(code === '' ? String(error) : code, { cause: error });
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
