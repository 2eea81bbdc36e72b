import type { ListedObject } from './listings.ts';

/** So many keys DeleteObjects takes at once. */
const mostAtOnce = 1000;

/** Why an object that is to be removed stays. */
export interface Kept {
  readonly key: string;
  readonly reason: string;
}

/** Removes objects with one request, up to 1,000 of them. @returns those that stay */
type Send = (objects: readonly ListedObject[]) => Promise<readonly Kept[]>;

interface Waiting {
  readonly object: ListedObject;
  readonly ended: PromiseWithResolvers<Kept | undefined>;
}

/**
 * Removals that share requests: what is asked for while one is under way goes together with the next one. So they are few
 * where many objects go at once, and nobody waits for others to come.
 */
export class Removals {
  readonly #send: Send;
  #waiting: Waiting[] = [];
  #isSending = false;

  constructor(send: Send) {
    this.#send = send;
  }

  /** @returns those of these objects that stay @throws what sending throws */
  async remove(objects: readonly ListedObject[]): Promise<readonly Kept[]> {
    const waiting = objects.map((object) => ({ object, ended: Promise.withResolvers<Kept | undefined>() }));
    this.#waiting.push(...waiting);
    void this.#sendAll();
    const ends = await Promise.all(waiting.map(({ ended }) => ended.promise));
    return ends.filter((kept) => kept !== undefined);
  }

  async #sendAll(): Promise<void> {
    if (this.#isSending) return;
    this.#isSending = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, mostAtOnce);
      try {
        const kept = new Map((await this.#send(batch.map(({ object }) => object))).map((each) => [each.key, each]));
        for (const { object, ended } of batch) ended.resolve(kept.get(object.key));
      } catch (error) {
        for (const { ended } of batch) ended.reject(error);
      }
    }
    this.#isSending = false;
  }
}
