import { type BlobStore, BlobStoreFullError } from '../blobs/store.ts';
import { change, first } from '../metadata/operation.ts';
import { acceptGeneration, knownGeneration, raiseGeneration } from '../metadata/queries/store.ts';
import { MetadataFullError, type MetadataStore } from '../metadata/store.ts';
import type { Clock } from './clock.ts';
import type { Siblings } from './siblings.ts';

/** How long files may go under one generation, in ms. What goes within it was condemned before, for longer by default. */
const moveEveryMs = 60_000;

/** For how long it is believed that the database is not the older one, where others may put another in its place, in ms. */
const lookEveryMs = 5_000;

/** Files must not go, since the database does not know what they are. */
export class DatabaseOutdatedError extends Error {
  override readonly name = 'DatabaseOutdatedError';
}

interface Parts {
  readonly metadata: MetadataStore;
  readonly blobs: Pick<BlobStore, 'generation' | 'setGeneration'>;
  readonly clock: Clock;
  /** Other processes that use the same stores. */
  readonly siblings?: Siblings | undefined;
}

/**
 * Notices a database that is older than its blobs, such as one restored from a backup (R39): it may hold what has been
 * removed since, and does not know what was pushed since, which nobody can get back once it is removed. Both stores keep
 * a number that grows before bytes go, in the database first; where that of the blobs is the greater one, the database
 * has forgotten.
 */
export class StoreGeneration {
  readonly #parts: Parts;
  #isDatabaseOutdated: boolean;
  #movedAt: number | undefined;
  /** When it was looked whether the database is the older one. */
  #lookedAt = -Infinity;
  #moving: Promise<void> | undefined;

  private constructor(parts: Parts, isDatabaseOutdated: boolean) {
    this.#parts = parts;
    this.#isDatabaseOutdated = isDatabaseOutdated;
    parts.siblings?.hear('settled', () => {
      this.#isDatabaseOutdated = false;
      return Promise.resolve(null);
    });
  }

  static async open(parts: Parts): Promise<StoreGeneration> {
    return new StoreGeneration(parts, await isOutdated(parts));
  }

  get isDatabaseOutdated(): boolean {
    return this.#isDatabaseOutdated;
  }

  /**
   * Looks whether the database has become older than the blobs, as where an older copy was put in its place while this process
   * served. A database that no other process uses cannot.
   * @returns whether it is older
   */
  async isOvertaken(): Promise<boolean> {
    if (!this.#parts.metadata.isShared) return this.#isDatabaseOutdated;
    this.#lookedAt = this.#parts.clock.now();
    this.#isDatabaseOutdated ||= await isOutdated(this.#parts);
    return this.#isDatabaseOutdated;
  }

  /** Looks whether somebody has accepted the database meanwhile, in another process. @returns whether that is so */
  async isAccepted(): Promise<boolean> {
    if (this.#isDatabaseOutdated) this.#isDatabaseOutdated = await isOutdated(this.#parts);
    return !this.#isDatabaseOutdated;
  }

  /** Accepts the database as it is, though the blobs are of a later generation: somebody says that there is no newer one. */
  async settle(generation: number): Promise<void> {
    await this.#parts.metadata.write(() => change(acceptGeneration, { generation }), { fromReserve: true });
    this.#isDatabaseOutdated = false;
    this.#parts.siblings?.tell('settled', null);
  }

  /** Bytes are about to be removed; resolves when they may be. @throws DatabaseOutdatedError */
  async beforeRemoval(): Promise<void> {
    const { clock } = this.#parts;
    if (clock.now() - this.#lookedAt >= lookEveryMs) await this.isOvertaken();
    if (this.#isDatabaseOutdated)
      throw new DatabaseOutdatedError('the database is older than the blobs: see wherry fsck');
    if (this.#movedAt !== undefined && clock.now() - this.#movedAt < moveEveryMs) return;
    this.#moving ??= this.#move().finally(() => {
      this.#moving = undefined;
    });
    await this.#moving;
  }

  /**
   * Of several processes that do this at once, the last one sees what the others have raised it to: a store of blobs may be
   * unable to keep the greatest number by itself.
   */
  async #mark(raised: number): Promise<void> {
    const { metadata, blobs } = this.#parts;
    for (let marked = 0, known = raised; known > marked;) {
      await blobs.setGeneration(known);
      marked = known;
      if (metadata.isShared) known = (await metadata.read(() => first(knownGeneration, {})))?.generation ?? 0;
    }
  }

  async #move(): Promise<void> {
    const { metadata, clock } = this.#parts;
    const now = clock.now();
    try {
      const raised = await metadata.write(() => first(raiseGeneration, {}), { fromReserve: true });
      if (raised !== undefined) await this.#mark(raised.generation);
    } catch (error) {
      // What is about to be removed may be the very room that is missing.
      if (!(error instanceof BlobStoreFullError || error instanceof MetadataFullError)) throw error;
    }
    this.#movedAt = now;
  }
}

async function isOutdated({ metadata, blobs }: Parts): Promise<boolean> {
  // First, as it moves last.
  const ofBlobs = (await blobs.generation()) ?? 0;
  const known = await metadata.read(() => first(knownGeneration, {}));
  return ofBlobs > (known?.generation ?? 0);
}
