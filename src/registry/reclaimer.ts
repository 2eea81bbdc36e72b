import type { BlobStore, ObjectId } from '../blobs/store.ts';
import type { Log } from '../log/log.ts';
import { all, first, type Operation } from '../metadata/operation.ts';
import { deadObjects, objectState } from '../metadata/queries/objects.ts';
import type { MetadataStore } from '../metadata/store.ts';
import type { Clock } from './clock.ts';
import { forgetObject } from './forget-object.ts';
import { isBeingPurged } from './purges/purged.ts';
import type { StoreGeneration } from './store-generation.ts';

const batch = 256;

/**
 * Gives the bytes of dead objects back: removes the file, durably, and only then forgets its row (protocol.md,
 * Collector I/O and T_forget; R34). A dead object can no longer be reached by anybody, so this may happen at any time,
 * any number of times (I12). Where a write that was sent before may arrive after that, the row stays for as long, and the
 * collector removes the object once more then.
 */
export class Reclaimer {
  readonly #metadata: MetadataStore;
  readonly #blobs: BlobStore;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #generation: Pick<StoreGeneration, 'beforeRemoval'>;
  readonly #waiting = new Set<ObjectId>();
  #working: Promise<void> | undefined;

  constructor(parts: {
    metadata: MetadataStore;
    blobs: BlobStore;
    clock: Clock;
    log: Log;
    generation: Pick<StoreGeneration, 'beforeRemoval'>;
  }) {
    this.#metadata = parts.metadata;
    this.#blobs = parts.blobs;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#generation = parts.generation;
  }

  /** Takes an object whose death has been committed; returns at once. */
  soon(oid: ObjectId): void {
    this.#waiting.add(oid);
    this.#working ??= this.#work();
  }

  /** Takes up what an earlier process left dead. */
  async resume(): Promise<void> {
    let after = '';
    const now = this.#clock.now();
    for (;;) {
      const rows = await this.#metadata.read(() => all(deadObjects, { after, limit: batch, now }));
      for (const { oid } of rows) this.soon(oid);
      const last = rows.at(-1);
      if (last === undefined) return;
      after = last.oid;
      await this.idle();
    }
  }

  /**
   * Removes a dead object's file, then its row, or sees that this is done once more. Returns whether it was the first time:
   * not where somebody else has been as far. @throws where the file cannot be removed
   */
  async reclaim(oid: ObjectId): Promise<boolean> {
    await this.#generation.beforeRemoval();
    const removedAt = this.#clock.now();
    await this.#blobs.remove(oid);
    return await this.#metadata.writeUnsynced(() => forgetObject(oid, { blobs: this.#blobs, removedAt }));
  }

  /** Resolves once nothing waits. */
  async idle(): Promise<void> {
    await this.#working;
  }

  async #work(): Promise<void> {
    for (const oid of this.#waiting) {
      try {
        if (!(await this.#metadata.read(() => isLeftToPurge(oid)))) await this.reclaim(oid);
      } catch (error) {
        // The row stays: the next start finds it.
        this.#log.error({ err: error, oid }, 'a dead object could not be removed');
      }
      this.#waiting.delete(oid);
    }
    this.#working = undefined;
  }
}

/** A purge removes its objects itself; the collector looks after those that it has not known of. */
function* isLeftToPurge(oid: ObjectId): Operation<boolean> {
  const digest = (yield* first(objectState, { oid }))?.digest ?? null;
  return digest !== null && (yield* isBeingPurged(digest));
}
