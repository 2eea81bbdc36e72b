import type { Syncs } from '../../src/stores/syncs.ts';

export type Synced = 'object' | 'shard' | 'log';

interface Held {
  readonly what: Synced;
  end(error: Error | null): void;
}

/** A disk that tells which syncs were asked of it, and ends them when the test says so, or at once. */
export class HeldDisk {
  /** What has been asked for, in order. */
  readonly asked: Synced[] = [];
  #held: Held[] = [];
  #isHolding = false;
  #failure: Error | null = null;
  #nextAsked = Promise.withResolvers<void>();

  readonly syncs: Syncs = {
    database: { syncLog: (_descriptor, done) => this.#ask('log', done) },
    blobs: { syncObject: async () => this.#promised('object'), syncShard: async () => this.#promised('shard') },
    // What a database shows to others is on its disk.
    postgres: {
      commit: async (send, mustLast) => {
        if (mustLast) await this.#promised('log');
        return await send();
      },
    },
    bucket: { put: async (send) => await this.#before(send), complete: async (send) => await this.#before(send) },
  };

  /** From now on syncs wait for `release`. */
  hold(): void {
    this.asked.length = 0;
    this.#isHolding = true;
  }

  /** Resolves when something waits for the disk, with all that waits for it. */
  async waiting(): Promise<readonly Synced[]> {
    while (this.#held.length === 0) await this.#nextAsked.promise;
    return this.#held.map(({ what }) => what).toSorted();
  }

  /** Ends those syncs that wait; the next ones wait again. */
  release(): void {
    const held = this.#held;
    this.#held = [];
    for (const each of held) each.end(null);
  }

  /** Ends those that wait, and lets later ones end at once. */
  letGo(): void {
    this.#isHolding = false;
    this.release();
  }

  /** From now on every sync fails, at once. */
  breakDown(): void {
    this.#failure = Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' });
  }

  #ask(what: Synced, end: (error: Error | null) => void): void {
    this.asked.push(what);
    if (!this.#isHolding) return void setImmediate(end, this.#failure);
    this.#held.push({ what, end });
    this.#nextAsked.resolve();
    this.#nextAsked = Promise.withResolvers();
  }

  async #before<T>(send: () => Promise<T>): Promise<T> {
    await this.#promised('object');
    return await send();
  }

  #promised(what: Synced): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#ask(what, (error) => (error === null ? resolve() : reject(error)));
    });
  }
}
