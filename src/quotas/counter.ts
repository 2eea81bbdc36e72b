import type { Log } from '../log/log.ts';
import type { Operation } from '../metadata/operation.ts';
import type { MetadataStore } from '../metadata/store.ts';
import { clearStale, countOn } from './count.ts';
import { recount } from './recount.ts';

/** The part of the time that counting may take while requests come. */
const share = 0.2;
/** Steps that share a transaction: most repositories have little to count. */
const stepsAtOnce = 5;
/** When counting is tried again after it has failed, as on a full disk, in ms. */
const retryMs = 10_000;

interface Parts {
  readonly metadata: Pick<MetadataStore, 'write' | 'writeUnsynced'>;
  readonly log: Log;
}

/**
 * Counts what the repositories of quotas hold that have not been counted yet, in small transactions beside everything
 * else, and clears away what is counted for no quota any more.
 */
export class QuotaCounter {
  readonly #parts: Parts;
  #working: Promise<void> = Promise.resolve();
  #isStopped = false;
  #endRest: () => void = () => undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Begins to count what there is to count. */
  start(): void {
    this.#working = this.#working.then(() => this.#work());
  }

  /** Resolves once all is counted that was to be counted when this was called. */
  async counted(): Promise<void> {
    await this.#working;
  }

  /** Counts a quota anew, by its number. */
  async recount(number: number): Promise<void> {
    await this.#parts.metadata.write(() => recount(number));
    this.start();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#endRest();
    await this.#working;
  }

  async #work(): Promise<void> {
    const { log } = this.#parts;
    while (!this.#isStopped) {
      try {
        await this.#countAll();
        return;
      } catch (error) {
        log.error({ err: error }, 'what quotas limit could not be counted; trying again');
        await this.#rest(retryMs);
      }
    }
  }

  async #countAll(): Promise<void> {
    await this.#repeat(countOn);
    await this.#repeat(clearStale);
  }

  /** Makes step after step until one says that it was the last. */
  async #repeat(step: () => Operation<boolean>): Promise<void> {
    while (!this.#isStopped) {
      const startedAt = performance.now();
      if (!(await this.#parts.metadata.writeUnsynced(() => severalOf(step)))) return;
      await this.#rest((performance.now() - startedAt) * (1 / share - 1));
    }
  }

  async #rest(ms: number): Promise<void> {
    // Who stops it does not wait for the time that was to be slept.
    if (this.#isStopped) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#endRest = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** @returns whether there is more to do */
function* severalOf(step: () => Operation<boolean>): Operation<boolean> {
  for (let done = 0; done < stepsAtOnce; done++) if (!(yield* step())) return false;
  return true;
}
