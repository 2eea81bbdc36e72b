import { collectAgain, type CollectingParts } from './collecting.ts';

/** How often it is looked, in ms. */
const lookEveryMs = 30_000;

/**
 * Where several processes share a database that is older than the blobs, one of them, or a command, accepts it for all:
 * this has the others collect again.
 */
export class AcceptanceWatch {
  readonly #parts: CollectingParts;
  #timer: Timer | undefined;
  #looking: Promise<void> = Promise.resolve();

  constructor(parts: CollectingParts) {
    this.#parts = parts;
  }

  start(): void {
    const { generation, registry } = this.#parts;
    if (!generation.isDatabaseOutdated || !registry.metadata.isShared) return;
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
    if (!generation.isDatabaseOutdated) {
      clearInterval(this.#timer);
      return;
    }
    try {
      if (await generation.isAccepted()) await collectAgain(this.#parts);
    } catch (error) {
      registry.log.warn({ err: error }, 'it could not be seen whether the database was accepted; it is tried again');
    }
  }
}
