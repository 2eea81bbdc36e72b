/** How a transaction runs: among others that may go together, alone among all, or beside whoever there is. */
export type Turn = 'together' | 'alone' | 'beside-others';

export interface Patience {
  /** How long one that goes alone waits for those under way while none of them ends, in ms. */
  readonly turnMs: number;
  /** How long one waits for those that go alone, in ms. */
  readonly waitMs: number;
  /** How long all go beside each other after one of these was too long, in ms: somebody is at work for long, or stands still. */
  readonly crowdedMs: number;
}

/**
 * Lets many go on side by side, and one alone where it has to: whoever asks for that waits for those who are under way,
 * and those who come meanwhile wait for it. Nobody waits for long for one that does not come to its end: then all go beside
 * each other for a while, and none of those is waited for.
 */
export class Turns {
  readonly #now: () => number;
  readonly #patience: Patience;
  #underWay = 0;
  /** To be called when one of those under way ends; whoever waits for it goes alone. */
  #oneEnded: (() => void) | undefined;
  /** The last of those who asked to go alone, one after the other. */
  #alone: Promise<void> | undefined;
  #crowdedUntilMs = -Infinity;

  /** @param now a clock that nobody sets, in ms */
  constructor(now: () => number, patience: Patience) {
    this.#now = now;
    this.#patience = patience;
  }

  async together<T>(run: (turn: Turn) => Promise<T>): Promise<T> {
    const deadline = this.#now() + this.#patience.waitMs;
    while (this.#alone !== undefined && !this.#areCrowded) {
      if (!(await endsWithin(deadline - this.#now(), this.#alone))) this.crowd();
    }
    if (this.#areCrowded) return await run('beside-others');
    this.#underWay++;
    try {
      return await run('together');
    } finally {
      this.#underWay--;
      this.#oneEnded?.();
    }
  }

  async alone<T>(run: (turn: Turn) => Promise<T>): Promise<T> {
    if (this.#areCrowded) return await run('beside-others');
    const before = this.#alone;
    const over = Promise.withResolvers<void>();
    this.#alone = over.promise;
    const end = (): void => {
      if (this.#alone === over.promise) this.#alone = undefined;
      over.resolve();
    };
    const haveOthersEnded =
      before === undefined ? await this.#haveAllEnded() : await endsWithin(this.#patience.waitMs, before);
    if (!haveOthersEnded) this.crowd();
    if (this.#areCrowded) {
      end();
      return await run('beside-others');
    }
    try {
      return await run('alone');
    } finally {
      end();
    }
  }

  /** Has all go beside each other for a while, as one of them does not come to its end. */
  crowd(): void {
    this.#crowdedUntilMs = this.#now() + this.#patience.crowdedMs;
  }

  get #areCrowded(): boolean {
    return this.#now() < this.#crowdedUntilMs;
  }

  /** Waits for those under way. @returns false once none of them ends any more */
  async #haveAllEnded(): Promise<boolean> {
    while (this.#underWay > 0) {
      const next = Promise.withResolvers<void>();
      this.#oneEnded = next.resolve;
      if (!(await endsWithin(this.#patience.turnMs, next.promise))) return false;
    }
    this.#oneEnded = undefined;
    return true;
  }
}

async function endsWithin(ms: number, ending: Promise<void>): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<false>((resolve) => (timer = setTimeout(() => resolve(false), ms)));
  try {
    return await Promise.race([ending.then(() => true as const), late]);
  } finally {
    clearTimeout(timer);
  }
}
