import type { SeededRandom } from './seeded-random.ts';
import type { WherryProcess } from './wherry-process.ts';

/** A connection kept from before a kill may break this long after the restart, in ms. */
const graceMs = 1000;

/** A point in the registry's life; see {@link Outages.wasUpSince}. */
export interface Moment {
  readonly changes: number;
  readonly upForMs: number;
}

/** Kills a registry with -9 again and again, and knows whether somebody's request could have noticed. */
export class Outages {
  kills = 0;
  /** How long each restart took until the registry was ready, in ms. */
  readonly restartsMs: number[] = [];
  readonly #wherry: WherryProcess;
  /** Grows with every kill and every restart: odd while the registry is down. */
  #changes = 0;
  #upSince = performance.now();

  constructor(wherry: WherryProcess) {
    this.#wherry = wherry;
  }

  /** Kills and restarts at random times, 2 to 4 s apart, until it is over. */
  async keepKilling(isOver: () => boolean, random: SeededRandom): Promise<void> {
    for (;;) {
      await Bun.sleep(random.between(2000, 4000));
      if (isOver()) return;
      await this.killOnce();
    }
  }

  async killOnce(): Promise<void> {
    if (this.#wherry.ended !== undefined) throw new Error(`the registry ended by itself: ${this.#wherry.ended}`);
    this.#changes += 1;
    await this.#wherry.kill();
    this.kills += 1;
    this.restartsMs.push(await this.#wherry.start());
    this.#changes += 1;
    this.#upSince = performance.now();
  }

  now(): Moment {
    return { changes: this.#changes, upForMs: performance.now() - this.#upSince };
  }

  /** Whether the registry has been up all the time since a moment, so that nothing may have failed. */
  wasUpSince(moment: Moment): boolean {
    return moment.changes === this.#changes && this.#changes % 2 === 0 && moment.upForMs > graceMs;
  }

  async untilUp(): Promise<void> {
    while (this.#changes % 2 === 1) await Bun.sleep(10);
  }
}
