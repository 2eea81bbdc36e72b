import { MetadataBusyError } from '../store.ts';

/** How soon, and how late at most, it is tried again to connect, in ms: twice as late after each failure. */
export const waitMs = { least: 100, most: 3_000 };

interface ReconnectingParts {
  /** In ms, by a clock that nobody sets. */
  readonly now: () => number;
  /** A number from 0 to 1, by which processes that have failed together do not try again together. */
  readonly random: () => number;
}

/**
 * Spares a database that cannot be reached the attempts of every request, and the requests the wait: after one that has
 * failed the next is made when some time has passed, by one of those who come then. All others are refused at once.
 */
export class Reconnecting {
  readonly #parts: ReconnectingParts;
  #failures = 0;
  #notBefore = -Infinity;
  #isProbing = false;

  constructor(parts: ReconnectingParts) {
    this.#parts = parts;
  }

  /** It can be reached, whoever has found that out. */
  reached(): void {
    this.#failures = 0;
  }

  /** @throws MetadataBusyError where it is not yet tried again */
  async connect<T>(connect: () => Promise<T>): Promise<T> {
    const isProbe = this.#failures > 0;
    if (isProbe && (this.#isProbing || this.#parts.now() < this.#notBefore)) {
      throw new MetadataBusyError('the database cannot be reached');
    }
    this.#isProbing ||= isProbe;
    try {
      const connection = await connect();
      this.reached();
      return connection;
    } catch (error) {
      // Of those who have failed together each counts no more than all of them.
      if (this.#parts.now() >= this.#notBefore) this.#wait();
      throw error;
    } finally {
      if (isProbe) this.#isProbing = false;
    }
  }

  #wait(): void {
    const mostMs = Math.min(waitMs.most, waitMs.least * 2 ** Math.min(this.#failures, 10));
    this.#failures++;
    this.#notBefore = this.#parts.now() + (mostMs / 2) * (1 + this.#parts.random());
  }
}
