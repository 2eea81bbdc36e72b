import type { Log } from '../log/log.ts';
import { quote } from '../oci/quote.ts';
import { requestActor } from './actor.ts';
import type { Clock } from './clock.ts';
import { EventsInTurn, type EventsInTurnParts } from './events-in-turn.ts';

/** A login that was refused. */
export interface LoginRefusal {
  readonly address: string | undefined;
  /** Of the request that brought it; undefined where none was read. */
  readonly requestId?: string | undefined;
  /** What was to prove who it is; a password where it is not given. */
  readonly means?: string;
  /** As it was given; empty where nobody was named. */
  readonly user: string;
  /** In words that follow "because". */
  readonly reason: string;
}

/** Of the same address and user, or address and reason where nothing is guessed, one event in this time, in ms; it says how many there were since the last. */
const oneIn = 10 * 60_000;

/** Events in one minute, whoever comes: beyond them they are only counted. */
const mostPerMinute = 30;

/** A longer name is cut off, in characters. */
const longestName = 200;

/** Addresses with users that are remembered. */
const mostRemembered = 10_000;

export interface LoginRefusalsParts extends EventsInTurnParts {
  readonly clock: Clock;
}

interface Silent {
  since: number;
  count: number;
}

/** Writes refused logins down, but no more than what somebody may want to read: who tries passwords cannot fill the disk. */
export class LoginRefusals {
  readonly #events: EventsInTurn;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #silent = new Map<string, Silent>();
  /** What was not written since the last event, whoever it was. */
  #unwritten = 0;
  #minute = -1;
  #inMinute = 0;

  constructor({ metadata, clock, log }: LoginRefusalsParts) {
    this.#events = new EventsInTurn({ metadata, log });
    this.#clock = clock;
    this.#log = log;
  }

  record({ address, requestId, means = 'password', user, reason }: LoginRefusal): void {
    const now = this.#clock.monotonic();
    // Whoever makes tokens up can put another name into each.
    const key = JSON.stringify([address, means, means === 'password' ? user.slice(0, 200) : reason]);
    const silent = this.#silent.get(key);
    if (silent !== undefined && now - silent.since < oneIn) {
      silent.count += 1;
      return;
    }
    if (!this.#hasTurn(now)) {
      this.#unwritten += 1;
      return;
    }
    this.#silent.delete(key);
    this.#silent.set(key, { since: now, count: 0 });
    if (this.#silent.size > mostRemembered) this.#forgetOldest();
    const more = [
      ...(silent !== undefined && silent.count > 0 ? [`${silent.count} more before`] : []),
      ...(this.#unwritten > 0 ? [`${this.#unwritten} of others not written down`] : []),
    ];
    this.#unwritten = 0;
    const named = quote(user.slice(0, longestName));
    const who = means === 'password' ? `as ${named}` : `with a ${means}${user === '' ? '' : ` that names ${named}`}`;
    const told = `${who}: ${reason}${more.length > 0 ? ` (${more.join(', ')})` : ''}`;
    this.#write(told, address, requestId);
  }

  /** Resolves once all is written. */
  async idle(): Promise<void> {
    await this.#events.idle();
  }

  #write(reason: string, address: string | undefined, requestId: string | undefined): void {
    const at = this.#clock.now();
    const client = requestActor({ who: 'client', address, userAgent: undefined, requestId: undefined });
    const actor = { ...client, requestId: requestId ?? null };
    this.#log.warn({ client: address, requestId, reason }, 'a login was refused');
    this.#events.add({ at, kind: 'login.refused', actor, reason, result: 'refused' });
  }

  #hasTurn(now: number): boolean {
    const minute = Math.floor(now / 60_000);
    if (minute !== this.#minute) [this.#minute, this.#inMinute] = [minute, 0];
    this.#inMinute += 1;
    return this.#inMinute <= mostPerMinute;
  }

  #forgetOldest(): void {
    const [oldest] = this.#silent.keys();
    if (oldest !== undefined) this.#silent.delete(oldest);
  }
}
