import type { Log } from '../log/log.ts';
import type { Operation } from '../metadata/operation.ts';
import type { EventKind } from '../metadata/schema.ts';
import type { MetadataStore } from '../metadata/store.ts';
import { type Actor, inSeveralRequests, severalActor } from '../registry/actor.ts';
import type { Clock } from '../registry/clock.ts';
import { recordEvent, type RegistryEvent } from '../registry/events.ts';

/** Events in one minute, of one identity at one address, and of all. */
const mostOfOne = 10;
const mostOfAll = 60;
/** Identities at addresses that are remembered. */
const mostRemembered = 10_000;
const minuteMs = 60_000;

/** Something that was refused, of a kind of which anybody can have any number. */
export type Refusal = Pick<RegistryEvent, 'actor' | 'repo' | 'digest' | 'tag'> & {
  /** In words that follow "because". */
  readonly reason: string;
};

interface Remembered {
  readonly actor: Actor;
  minute: number;
  written: number;
  /** Since the last event that told how many. */
  unwritten: number;
}

export interface RefusalsParts {
  readonly metadata: Pick<MetadataStore, 'writeUnsynced'>;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Writes down who was refused what, a bounded number a minute: whoever tries everything cannot fill the disk. The rest is
 * counted, and told in one event once the minute is over.
 */
export class BoundedRefusals {
  readonly #parts: RefusalsParts;
  readonly #kind: EventKind;
  readonly #remembered = new Map<string, Remembered>();
  #minute = -1;
  #inMinute = 0;
  /** Of those that are remembered no more. */
  #forgotten = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #waiting: RegistryEvent[] = [];
  #writing: Promise<void> | undefined;

  /** @param kind of all its events: those of one kind leave room for those of another */
  constructor(parts: RefusalsParts, kind: EventKind) {
    this.#parts = parts;
    this.#kind = kind;
  }

  record(refusal: Refusal): void {
    const minute = this.#currentMinute();
    const one = this.#rememberedOf(refusal.actor, minute);
    if (one.minute !== minute) [one.minute, one.written] = [minute, 0];
    if (one.written >= mostOfOne || this.#inMinute >= mostOfAll) {
      one.unwritten++;
      this.#timer ??= setTimeout(() => this.tellUnwritten(), minuteMs).unref();
      return;
    }
    one.written++;
    this.#inMinute++;
    this.#write(refusal);
  }

  /** Tells how many were not written down one by one. */
  tellUnwritten(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    let left = mostOfAll;
    for (const one of this.#remembered.values()) {
      if (one.unwritten === 0) continue;
      if (left-- > 0) this.#writeCount(inSeveralRequests(one.actor), one.unwritten);
      else this.#forgotten += one.unwritten;
      one.unwritten = 0;
    }
    if (this.#forgotten > 0) this.#writeCount(severalActor, this.#forgotten, ' of several clients');
    this.#forgotten = 0;
  }

  /** Resolves once all is written. */
  async stop(): Promise<void> {
    this.tellUnwritten();
    await this.#writing;
  }

  #currentMinute(): number {
    const minute = Math.floor(this.#parts.clock.monotonic() / minuteMs);
    if (minute !== this.#minute) [this.#minute, this.#inMinute] = [minute, 0];
    return minute;
  }

  #rememberedOf(actor: Actor, minute: number): Remembered {
    const key = JSON.stringify([actor.identity, actor.address]);
    const known = this.#remembered.get(key);
    if (known !== undefined) return known;
    const one = { actor, minute, written: 0, unwritten: 0 };
    this.#remembered.set(key, one);
    if (this.#remembered.size > mostRemembered) this.#forgetOldest();
    return one;
  }

  #forgetOldest(): void {
    const [oldest] = this.#remembered;
    if (oldest === undefined) return;
    const [key, { unwritten }] = oldest;
    this.#forgotten += unwritten;
    this.#remembered.delete(key);
  }

  #writeCount(actor: Actor, count: number, whose = ''): void {
    this.#write({ actor, reason: `${count} more${whose}, not written down one by one` });
  }

  #write(refusal: Refusal): void {
    this.#waiting.push({ ...refusal, at: this.#parts.clock.now(), kind: this.#kind, result: 'refused' });
    this.#writing ??= this.#writeWaiting();
  }

  /** In their order, those together that have come meanwhile: databases may write side by side what is asked for side by side. */
  async #writeWaiting(): Promise<void> {
    const { metadata, log } = this.#parts;
    while (this.#waiting.length > 0) {
      const events = this.#waiting.splice(0);
      try {
        await metadata.writeUnsynced(() => recordAll(events), { whileReadOnly: true });
      } catch (error) {
        log.warn({ err: error, kind: this.#kind, events: events.length }, 'refusals could not be written down');
      }
    }
    this.#writing = undefined;
  }
}

function* recordAll(events: readonly RegistryEvent[]): Operation<void> {
  for (const event of events) yield* recordEvent(event);
}
