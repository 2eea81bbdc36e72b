import { SeededRandom } from '../../src/storm/seeded-random.ts';
import { findingsIn } from './fsck-process.ts';
import type { SqueezedRegistry } from './squeezed-registry.ts';

/** A request that was sent to the killed process may be told so this long after the restart, in ms. */
const graceMs = 1000;

/** Kills a registry with -9 every few seconds, has what it has left checked, and starts it again. */
export class Killings {
  /** What was wrong in the data directory after a kill. */
  readonly problems: string[] = [];
  readonly #registry: SqueezedRegistry;
  readonly #outages: { readonly from: number; readonly to: number }[] = [];

  constructor(registry: SqueezedRegistry) {
    this.#registry = registry;
  }

  get count(): number {
    return this.#outages.length;
  }

  /** Goes on until `deadline` (of Date.now()). */
  async goOnUntil(deadline: number, seed: number): Promise<void> {
    const random = new SeededRandom(seed);
    for (;;) {
      const pauseMs = random.between(2000, 5000);
      if (Date.now() + pauseMs > deadline) return;
      await Bun.sleep(pauseMs);
      const from = Date.now();
      await this.#registry.kill();
      this.problems.push(...(await findingsIn(this.#registry.dataDirectory)));
      await this.#registry.resume();
      this.#outages.push({ from, to: Date.now() });
    }
  }

  /** Whether a request that failed at a time (of Date.now()) did so because the registry was killed. */
  explains(at: number): boolean {
    return this.#outages.some(({ from, to }) => at >= from && at <= to + graceMs);
  }
}
