import { endsWithin } from '../../ends-within.ts';

/** How a transaction runs: among others that may go together, alone among all, or beside whoever there is. */
export type Turn = 'together' | 'alone' | 'beside-others';

export interface Patience {
  /** How long one that goes alone waits for those under way while none of them ends, in ms. */
  readonly turnMs: number;
  /** How long one waits for those that go alone while nobody ends, in ms. */
  readonly waitMs: number;
  /** How long all go beside each other after one of these was too long, in ms: somebody is at work for long, or stands still. */
  readonly crowdedMs: number;
}

/**
 * Lets many go on side by side, and one alone where it has to: whoever asks for that waits for those who are under way and
 * those who asked before, and those who come meanwhile wait for it. They wait for as long as one after the other comes to its
 * end. Where one does not, all go beside each other for a while, and none of those is waited for.
 */
export class Turns {
  readonly #now: () => number;
  readonly #patience: Patience;
  #underWay = 0;
  /** Those who asked to go alone, in their order: the first one does, or waits for those under way. */
  readonly #alone = new Set<symbol>();
  /** Of those who wait for something to change: that somebody ends, or that all go beside each other. */
  #change: PromiseWithResolvers<void> | undefined;
  #crowdedUntilMs = -Infinity;

  /** @param now a clock that nobody sets, in ms */
  constructor(now: () => number, patience: Patience) {
    this.#now = now;
    this.#patience = patience;
  }

  async together<T>(run: (turn: Turn) => Promise<T>): Promise<T> {
    while (!this.#areCrowded) {
      if (this.#alone.size === 0) return await this.#underWayWith(run);
      await this.#somebodyEnds(this.#patience.waitMs);
    }
    return await run('beside-others');
  }

  async alone<T>(run: (turn: Turn) => Promise<T>): Promise<T> {
    const itself = Symbol();
    this.#alone.add(itself);
    try {
      while (!this.#areCrowded) {
        const [first] = this.#alone;
        if (first === itself && this.#underWay === 0) return await run('alone');
        await this.#somebodyEnds(first === itself ? this.#patience.turnMs : this.#patience.waitMs);
      }
    } finally {
      this.#alone.delete(itself);
      this.#changed();
    }
    return await run('beside-others');
  }

  /** Has all go beside each other for a while, as one of them does not come to its end. */
  crowd(): void {
    this.#crowdedUntilMs = this.#now() + this.#patience.crowdedMs;
    this.#changed();
  }

  get #areCrowded(): boolean {
    return this.#now() < this.#crowdedUntilMs;
  }

  async #underWayWith<T>(run: (turn: Turn) => Promise<T>): Promise<T> {
    this.#underWay++;
    try {
      return await run('together');
    } finally {
      this.#underWay--;
      this.#changed();
    }
  }

  /** Waits for the next one to end; who has waited for too long has all go beside each other. */
  async #somebodyEnds(mostMs: number): Promise<void> {
    this.#change ??= Promise.withResolvers<void>();
    if (!(await endsWithin(mostMs, this.#change.promise))) this.crowd();
  }

  #changed(): void {
    this.#change?.resolve();
    this.#change = undefined;
  }
}
