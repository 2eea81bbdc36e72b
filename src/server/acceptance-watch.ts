import type { Log } from '../log/log.ts';
import type { StoreGeneration } from '../registry/store-generation.ts';
import { type Every, everyByTimer } from './every.ts';

/** How often it is looked, in ms. */
const lookEveryMs = 30_000;

export interface AcceptanceWatchParts {
  readonly generation: Pick<StoreGeneration, 'isDatabaseOutdated' | 'isOvertaken' | 'isAccepted'>;
  readonly log: Pick<Log, 'warn'>;
  /** The database has turned out to be the older one: nothing may be collected. */
  readonly onOutdated: () => void;
  /** It was accepted as it is, here or elsewhere. False where it is to be called again, as nothing is collected yet. */
  readonly onAccepted: () => Promise<boolean>;
  readonly every?: Every;
}

/**
 * Where several processes share a database that is older than the blobs, one of them, or a command, accepts it for all:
 * this has the others collect again. And it has them pause where an older copy is put in the database's place while they
 * serve.
 */
export class AcceptanceWatch {
  readonly #parts: AcceptanceWatchParts;
  #looks: Disposable | undefined;
  #looking: Promise<void> = Promise.resolve();
  /** Whether it was last told that the database is the older one: a removal may have found that out first. */
  #isTold: boolean;

  constructor(parts: AcceptanceWatchParts) {
    this.#parts = parts;
    this.#isTold = parts.generation.isDatabaseOutdated;
  }

  /** To be called where other processes share the database: nobody else can put another in its place. */
  start(): void {
    const { every = everyByTimer } = this.#parts;
    this.#looks = every(lookEveryMs, async () => await this.#lookInTurn());
  }

  async stop(): Promise<void> {
    this.#looks?.[Symbol.dispose]();
    await this.#looking;
  }

  /** One look at a time. */
  async #lookInTurn(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#look());
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { generation, log, onOutdated, onAccepted } = this.#parts;
    try {
      const isOutdated = generation.isDatabaseOutdated
        ? !(await generation.isAccepted())
        : await generation.isOvertaken();
      if (isOutdated === this.#isTold) return;
      if (isOutdated) onOutdated();
      // Whichever process is told to resume, all have to.
      else if (!(await onAccepted())) return;
      this.#isTold = isOutdated;
    } catch (error) {
      log.warn({ err: error }, 'it could not be seen whether the database is older than the blobs; it is tried again');
    }
  }
}
