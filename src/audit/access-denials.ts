import type { Action } from '../access/action.ts';
import type { Log } from '../log/log.ts';
import type { MetadataStore } from '../metadata/store.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Actor } from '../registry/actor.ts';
import type { Clock } from '../registry/clock.ts';
import { recordEvent, type RegistryEvent } from '../registry/events.ts';

/** Something that somebody wanted to do, and may not. */
export interface AccessDenial {
  readonly actor: Actor;
  readonly action: Action;
  /** Undefined for what is not about one repository. */
  readonly repo: RepositoryName | undefined;
  /** In words that follow "because". */
  readonly reason: string;
}

/** Events in one minute, of one identity at one address, and of all. */
const mostOfOne = 10;
const mostOfAll = 60;
/** Identities at addresses that are remembered. */
const mostRemembered = 10_000;
const minuteMs = 60_000;

interface Remembered {
  readonly actor: Actor;
  minute: number;
  written: number;
  /** Since the last event that told how many. */
  unwritten: number;
}

export interface AccessDenialsParts {
  readonly metadata: Pick<MetadataStore, 'writeUnsynced'>;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Writes down who was denied what, a bounded number a minute: whoever tries everything cannot fill the disk. The rest is
 * counted, and told in one event once the minute is over.
 */
export class AccessDenials {
  readonly #parts: AccessDenialsParts;
  readonly #remembered = new Map<string, Remembered>();
  #minute = -1;
  #inMinute = 0;
  /** Of those that are remembered no more. */
  #forgotten = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(parts: AccessDenialsParts) {
    this.#parts = parts;
  }

  record({ actor, action, repo, reason }: AccessDenial): void {
    const minute = this.#currentMinute();
    const one = this.#rememberedOf(actor, minute);
    if (one.minute !== minute) [one.minute, one.written] = [minute, 0];
    if (one.written >= mostOfOne || this.#inMinute >= mostOfAll) {
      one.unwritten++;
      this.#timer ??= setTimeout(() => this.tellUnwritten(), minuteMs).unref();
      return;
    }
    one.written++;
    this.#inMinute++;
    this.#write({ kind: 'access.denied', actor, reason: `${action}: ${reason}`, ...(repo !== undefined && { repo }) });
  }

  /** Tells how many were not written down one by one. */
  tellUnwritten(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    let left = mostOfAll;
    for (const one of this.#remembered.values()) {
      if (one.unwritten === 0) continue;
      if (left-- > 0) this.#writeCount(one.actor, one.unwritten);
      else this.#forgotten += one.unwritten;
      one.unwritten = 0;
    }
    const [any] = this.#remembered.values();
    if (this.#forgotten > 0 && any !== undefined) this.#writeCount(any.actor, this.#forgotten, ' of others');
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
    this.#write({ kind: 'access.denied', actor, reason: `${count} more${whose}, not written down one by one` });
  }

  #write(event: Omit<RegistryEvent, 'at' | 'result'>): void {
    const { metadata, clock, log } = this.#parts;
    const at = clock.now();
    const written = metadata.writeUnsynced(() => recordEvent({ ...event, at, result: 'refused' }));
    this.#writing = Promise.all([this.#writing, written]).then(
      () => undefined,
      (error: unknown) => log.warn({ err: error }, 'what somebody was denied could not be written down'),
    );
  }
}
