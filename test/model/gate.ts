/** A process was killed before it had made a call. */
class KilledError extends Error {
  override readonly name = 'KilledError';
}

/** Lets a process's calls to servers through until it is killed. */
export class Gate {
  #isShut = false;
  #passed = 0;
  readonly #underWay = new Set<Promise<unknown>>();
  #waiting: { readonly passed: number; readonly resolve: () => void }[] = [];

  readonly call = async <T>(send: () => Promise<T>): Promise<T> => {
    this.#refuseKilled();
    const sent = send();
    this.#underWay.add(sent);
    try {
      return await sent;
    } finally {
      this.#underWay.delete(sent);
      this.#passed++;
      for (const { resolve } of this.#waiting.filter(({ passed }) => passed <= this.#passed)) resolve();
      this.#waiting = this.#waiting.filter(({ passed }) => passed > this.#passed);
    }
  };

  /** Resolves when so many more calls have been answered. */
  async after(calls: number): Promise<void> {
    if (calls === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ passed: this.#passed + calls, resolve });
    await promise;
  }

  /** Lets nothing more through. */
  shut(): void {
    this.#isShut = true;
  }

  /** Resolves when all is over that had gone through. */
  async quiet(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  #refuseKilled(): void {
    if (this.#isShut) throw new KilledError('the process was killed');
  }
}
