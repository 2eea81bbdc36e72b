import { collectAgain, type CollectingParts, pauseOutdated } from './collecting.ts';

/** How often it is looked, in ms. */
const lookEveryMs = 30_000;

/**
 * Where several processes share a database that is older than the blobs, one of them, or a command, accepts it for all:
 * this has the others collect again. And it has them pause where an older copy is put in the database's place while they
 * serve.
 */
export class AcceptanceWatch {
  readonly #parts: CollectingParts;
  #timer: Timer | undefined;
  #looking: Promise<void> = Promise.resolve();
  /** Whether the collector was last told that the database is the older one: a removal may have found that out first. */
  #isTold: boolean;

  constructor(parts: CollectingParts) {
    this.#parts = parts;
    this.#isTold = parts.generation.isDatabaseOutdated;
  }

  start(): void {
    if (!this.#parts.registry.metadata.isShared) return;
    this.#timer = setInterval(() => void this.look(), lookEveryMs);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  /** One look at a time. */
  async look(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#look());
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { generation, registry } = this.#parts;
    try {
      const isOutdated = generation.isDatabaseOutdated
        ? !(await generation.isAccepted())
        : await generation.isOvertaken();
      if (isOutdated === this.#isTold) return;
      if (isOutdated) pauseOutdated(this.#parts);
      else await collectAgain(this.#parts);
      this.#isTold = isOutdated;
    } catch (error) {
      registry.log.warn(
        { err: error },
        'it could not be seen whether the database is older than the blobs; it is tried again',
      );
    }
  }
}
