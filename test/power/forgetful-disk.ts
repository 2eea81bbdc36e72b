import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import type { Syncs } from '../../src/stores/syncs.ts';
import type { SeededRandom } from '../../src/storm/seeded-random.ts';

/** What a disk writes as a whole, in bytes. */
const sectorBytes = 512;
/** How long a sync takes at most, in ms. */
const longestSyncMs = 4;

/** When the power is cut: as something is acknowledged, or as a file has been removed and no sync has been asked for yet. */
export type Moment = 'a push is acknowledged' | 'a delete is acknowledged' | 'a file is removed';

/** Whether a power cut keeps what was not synced: none of it, all, or some sectors and names of it. */
type Kept = 'nothing' | 'everything' | 'some';

/**
 * The disk under a registry, as far as it remembers: what was synced, and of what was written since, whatever it likes.
 * Files are what it was told with `syncObject`, names what it was told with `syncShard`, the database's log what it was
 * told with `log`. The database itself is what it was when the registry started: no commit is moved there, since SQLite
 * does that with syncs of its own, which cannot be held back here.
 */
export class ForgetfulDisk {
  readonly syncs: Syncs;
  readonly #directory: string;
  readonly #random: SeededRandom;
  /** What is on the disk of each file of `objects/`, by its path. */
  readonly #files = new Map<string, Synced<Uint8Array>>();
  /** The names that are on the disk, by the path of the directory. */
  readonly #names = new Map<string, Synced<ReadonlySet<string>>>();
  readonly #openPaths = new Map<number, string>();
  #log: Uint8Array;
  #generation: Uint8Array;
  #syncsBegun = 0;
  #isCut = false;
  #waiting: { readonly moment: Moment; readonly cut: () => void } | undefined;

  /** Of a data directory that no registry runs on yet. All that is there now is on the disk. */
  constructor(directory: string, random: SeededRandom) {
    this.#directory = directory;
    this.#random = random;
    this.#log = contentOf(this.#logPath);
    this.#generation = contentOf(this.#generationPath);
    for (const shard of namesIn(this.#root)) {
      const path = join(this.#root, shard);
      const names = namesIn(path);
      this.#names.set(path, { is: new Set(names), begun: 0 });
      for (const name of names) this.#files.set(join(path, name), { is: contentOf(join(path, name)), begun: 0 });
    }
    this.syncs = {
      database: {
        checkpoint: () => Promise.reject(new Error('the log stays where it is')),
        syncLog: (_descriptor, done) => {
          const content = contentOf(this.#logPath);
          setTimeout(() => {
            this.#log = content;
            done(null);
          }, this.#syncMs());
        },
      },
      blobs: {
        open: (path, flags, mode) => {
          const descriptor = openSync(path, flags, mode);
          this.#openPaths.set(descriptor, path);
          return descriptor;
        },
        close: (descriptor) => {
          this.#openPaths.delete(descriptor);
          closeSync(descriptor);
        },
        unlink: async (path) => {
          unlinkSync(path);
          this.#reached('a file is removed');
        },
        syncDirectory: async () => {},
        writeSynced: async (path, text) => {
          writeFileSync(path, text);
          await this.#synced();
          this.#generation = contentOf(path);
        },
        syncObject: async (descriptor) => await this.#sync(this.#files, this.#pathOf(descriptor), contentOf),
        syncShard: async (descriptor) =>
          await this.#sync(this.#names, this.#pathOf(descriptor), (path) => new Set(namesIn(path))),
      },
      answer: (response) => {
        // Nobody hears of what is answered after the cut.
        if (this.#isCut) return new Response(null, { status: 503 });
        if (response.status === 201) this.#reached('a push is acknowledged');
        else if (response.status === 202 && !response.headers.has('location'))
          this.#reached('a delete is acknowledged');
        return response;
      },
    };
  }

  /** Calls `cut` in a moment that comes; resolves when it has. */
  at(moment: Moment, cut: () => void): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting = {
        moment,
        cut() {
          cut();
          resolve();
        },
      };
    });
  }

  #reached(moment: Moment): void {
    const waiting = this.#waiting;
    if (waiting?.moment !== moment) return;
    this.#waiting = undefined;
    waiting.cut();
  }

  /** Cuts the power: what a start finds afterwards goes to another directory. The registry is to be stopped. */
  cut(to: string): void {
    this.#isCut = true;
    // The log and the blobs fare as they like: whatever was to come first may be what is lost.
    const ofLog = this.#kept();
    const kept = this.#kept();
    mkdirSync(to);
    copyFileSync(join(this.#directory, 'wherry.db'), join(to, 'wherry.db'));
    writeFileSync(join(to, basename(this.#logPath)), this.#left(ofLog, this.#log, contentOf(this.#logPath)));
    const generation = this.#left(kept, this.#generation, contentOf(this.#generationPath));
    if (generation.length > 0) writeFileSync(join(to, basename(this.#generationPath)), generation);
    for (const shard of namesIn(this.#root)) {
      mkdirSync(join(to, 'objects', shard), { recursive: true });
      const path = join(this.#root, shard);
      for (const name of this.#namesLeft(kept, path)) {
        const file = join(path, name);
        writeFileSync(
          join(to, 'objects', shard, name),
          this.#left(kept, this.#files.get(file)?.is ?? new Uint8Array(), contentOf(file)),
        );
      }
    }
  }

  #kept(): Kept {
    return this.#random.pick<Kept>(['nothing', 'everything', 'some']) ?? 'some';
  }

  get #root(): string {
    return join(this.#directory, 'objects');
  }

  get #logPath(): string {
    return join(this.#directory, 'wherry.db-wal');
  }

  get #generationPath(): string {
    return join(this.#directory, 'generation');
  }

  #pathOf(descriptor: number): string {
    const path = this.#openPaths.get(descriptor);
    if (path === undefined) throw new Error(`descriptor ${descriptor} was not opened here`);
    return path;
  }

  /** What is there when a sync begins is on the disk when it ends. */
  async #sync<T>(synced: Map<string, Synced<T>>, path: string, read: (path: string) => T): Promise<void> {
    const begun = ++this.#syncsBegun;
    const is = read(path);
    await this.#synced();
    // One that began later may have ended already.
    if (begun > (synced.get(path)?.begun ?? 0)) synced.set(path, { is, begun });
  }

  async #synced(): Promise<void> {
    await new Promise((resolve) => {
      setTimeout(resolve, this.#syncMs());
    });
  }

  #syncMs(): number {
    return this.#random.next() * longestSyncMs;
  }

  /** The names that a directory has after the cut: those that were synced, and of what has changed since whatever is kept. */
  #namesLeft(kept: Kept, path: string): readonly string[] {
    const synced = this.#names.get(path)?.is ?? new Set<string>();
    const written = new Set(namesIn(path));
    return [...synced.union(written)].filter((name) =>
      this.#isKept(kept, synced.has(name) === written.has(name)) ? written.has(name) : synced.has(name),
    );
  }

  /** What a file has after the cut. */
  #left(kept: Kept, synced: Uint8Array, written: Uint8Array): Uint8Array {
    if (kept === 'nothing') return synced;
    if (kept === 'everything') return written;
    const shorter = Math.min(synced.length, written.length);
    const length = shorter + this.#random.between(0, Math.max(synced.length, written.length) - shorter);
    const left = new Uint8Array(length);
    for (let from = 0; from < length; from += sectorBytes) {
      const to = Math.min(from + sectorBytes, length);
      const [before, after] = [synced.subarray(from, to), written.subarray(from, to)];
      // A sector that was never written has whatever it has: zeros, here.
      left.set(this.#isKept(kept, isSame(before, after)) ? after : before, from);
    }
    return left;
  }

  #isKept(kept: Kept, isSynced: boolean): boolean {
    if (isSynced || kept === 'everything') return true;
    return kept === 'some' && this.#random.chance(0.5);
  }
}

interface Synced<T> {
  readonly is: T;
  /** Which of all syncs it was. */
  readonly begun: number;
}

function contentOf(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch {
    return new Uint8Array();
  }
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && Buffer.compare(one, other) === 0;
}
