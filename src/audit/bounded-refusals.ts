import type { EventKind } from '../metadata/schema.ts';
import { type Actor, inSeveralRequests, severalActor } from '../registry/actor.ts';
import type { Clock } from '../registry/clock.ts';
import { EventsInTurn, type EventsInTurnParts } from '../registry/events-in-turn.ts';
import type { RegistryEvent } from '../registry/events.ts';

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

export interface RefusalsParts extends EventsInTurnParts {
  readonly clock: Clock;
}

/**
 * Writes down who was refused what, a bounded number a minute: whoever tries everything cannot fill the disk. The rest is
 * counted, and told in one event once the minute is over.
 */
export class BoundedRefusals {
  readonly #clock: Clock;
  readonly #events: EventsInTurn;
  readonly #kind: EventKind;
  readonly #remembered = new Map<string, Remembered>();
  #minute = -1;
  #inMinute = 0;
  /** Of those that are remembered no more. */
  #forgotten = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param kind of all its events: those of one kind leave room for those of another */
  constructor(parts: RefusalsParts, kind: EventKind) {
    this.#clock = parts.clock;
    this.#events = new EventsInTurn(parts);
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
    await this.#events.idle();
  }

  #currentMinute(): number {
    const minute = Math.floor(this.#clock.monotonic() / minuteMs);
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
    this.#events.add({ ...refusal, at: this.#clock.now(), kind: this.#kind, result: 'refused' });
  }
}
