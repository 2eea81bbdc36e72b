import type { Bucket } from './bucket.ts';

/** How long older versions are left where they are after some could not be removed, in ms: they may be locked. */
const restMs = 3_600_000;

/** So many pages of versions are listed at once at most: how many stay that are locked, nobody bounds. */
const mostPages = 100;

interface Parts {
  readonly bucket: Pick<Bucket, 'listings' | 'remove'>;
  readonly key: string;
  /** Milliseconds since some moment, which only go on. */
  readonly monotonic: () => number;
}

/** Removes the versions of an object that others have taken the place of, in the background. */
export class OlderVersions {
  readonly #parts: Parts;
  #restsUntil = -Infinity;
  #isRemoving = false;
  /** Whether the object has been put again since what is under way began. */
  #hasMore = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** The object has been put once more. Nobody waits for this, and it fails quietly: the next one has it tried again. */
  removeSoon(): void {
    this.#hasMore = true;
    if (!this.#isRemoving) void this.#removeAll();
  }

  async #removeAll(): Promise<void> {
    const { monotonic } = this.#parts;
    this.#isRemoving = true;
    while (this.#hasMore && monotonic() >= this.#restsUntil) {
      this.#hasMore = false;
      if (!(await this.#remove())) this.#restsUntil = monotonic() + restMs;
    }
    this.#isRemoving = false;
  }

  /** @returns whether all went that were asked for */
  async #remove(): Promise<boolean> {
    const { bucket, key } = this.#parts;
    let [areGone, pages] = [true, 0];
    try {
      for await (const versions of bucket.listings.olderVersionsOf(key)) {
        // Those that are listed after it are older, and may be locked no more.
        await bucket.remove(versions).catch(() => (areGone = false));
        if (++pages === mostPages) break;
      }
    } catch {
      return false;
    }
    return areGone;
  }
}
