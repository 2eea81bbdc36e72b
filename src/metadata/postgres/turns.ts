/**
 * Lets many go on side by side, and one alone where it has to: whoever asks for that waits for those who are under way,
 * and those who come meanwhile wait for it.
 */
export class Turns {
  #underWay = 0;
  /** Resolves when nobody is under way; whoever waits for it goes alone. */
  #empty: (() => void) | undefined;
  /** The last of those who asked to go alone, one after the other. */
  #alone: Promise<void> | undefined;

  async together<T>(run: () => Promise<T>): Promise<T> {
    while (this.#alone !== undefined) await this.#alone;
    this.#underWay++;
    try {
      return await run();
    } finally {
      this.#underWay--;
      if (this.#underWay === 0) this.#empty?.();
    }
  }

  async alone<T>(run: () => Promise<T>): Promise<T> {
    const before = this.#alone;
    const over = Promise.withResolvers<void>();
    this.#alone = over.promise;
    try {
      if (before === undefined) await this.#untilEmpty();
      else await before;
      return await run();
    } finally {
      if (this.#alone === over.promise) this.#alone = undefined;
      over.resolve();
    }
  }

  async #untilEmpty(): Promise<void> {
    if (this.#underWay === 0) return;
    const empty = Promise.withResolvers<void>();
    this.#empty = empty.resolve;
    await empty.promise;
    this.#empty = undefined;
  }
}
