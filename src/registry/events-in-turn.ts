import type { Log } from '../log/log.ts';
import type { Operation } from '../metadata/operation.ts';
import type { MetadataStore } from '../metadata/store.ts';
import { recordEvent, type RegistryEvent } from './events.ts';

export interface EventsInTurnParts {
  readonly metadata: Pick<MetadataStore, 'writeUnsynced'>;
  readonly log: Log;
}

/**
 * Writes down events for which nobody waits, in the order in which they came: a database may write side by side what is
 * asked for side by side. What comes meanwhile is written together, so that there is one transaction at a time.
 */
export class EventsInTurn {
  readonly #parts: EventsInTurnParts;
  readonly #waiting: RegistryEvent[] = [];
  #writing: Promise<void> | undefined;

  constructor(parts: EventsInTurnParts) {
    this.#parts = parts;
  }

  add(event: RegistryEvent): void {
    this.#waiting.push(event);
    this.#writing ??= this.#writeWaiting();
  }

  /** Resolves once all is written, or said in the log that it could not be. */
  async idle(): Promise<void> {
    await this.#writing;
  }

  async #writeWaiting(): Promise<void> {
    const { metadata, log } = this.#parts;
    while (this.#waiting.length > 0) {
      const events = this.#waiting.splice(0);
      try {
        await metadata.writeUnsynced(() => recordAll(events), { whileReadOnly: true });
      } catch (error) {
        const kinds = [...new Set(events.map(({ kind }) => kind))];
        log.warn({ err: error, kinds, events: events.length }, 'events could not be written down');
      }
    }
    this.#writing = undefined;
  }
}

function* recordAll(events: readonly RegistryEvent[]): Operation<void> {
  for (const event of events) yield* recordEvent(event);
}
