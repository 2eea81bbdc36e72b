import { isIPv6 } from 'node:net';
import { z } from 'zod';

interface Failures {
  count: number;
  /** When the next is looked at. */
  nextAt: number;
  lastAt: number;
}

interface Pace {
  /** So many go by before anybody has to wait. */
  readonly free: number;
  /** The longest wait, in ms. */
  readonly mostMs: number;
}

/** A second after the last free one, and twice as long with each more. */
const firstWaitMs = 1000;

const ofAddresses: Pace = { free: 5, mostMs: 5 * 60_000 };

/**
 * Whoever tries to get in as a user from everywhere keeps that user waiting too, so the wait is short. Who has logged in a
 * moment ago is not asked to wait at all.
 */
const ofUsers: Pace = { free: 5, mostMs: 30_000 };

/** So long after the last failure, in ms, all is forgotten. */
const forgottenAfterMs = 15 * 60_000;

/** Of addresses, and of users, that are remembered. When there are more, those go that have been quiet for longest. */
const mostRemembered = 10_000;

/** No user of a password file has a longer name, in characters. */
const longestName = 200;

/** What processes tell each other that count the same logins. */
export const loginNews = z.object({
  what: z.enum(['begun', 'taken-back', 'refused', 'succeeded']),
  address: z.string().optional(),
  user: z.string(),
  /** Of one that was refused. */
  key: z.string(),
});
export type LoginNews = z.infer<typeof loginNews>;

/** Slows those down who try passwords: by their address, and by the user whose password they try. */
export class FailedLogins {
  readonly #now: () => number;
  readonly #byAddress = new Map<string, Failures>();
  readonly #byUser = new Map<string, Failures>();
  /** When each was found wrong and counted. */
  readonly #counted = new Map<string, number>();

  readonly #tell: (news: LoginNews) => void;

  /**
   * @param now of a clock that is never set, in ms
   * @param tell is told of each login, for those who count the same elsewhere
   */
  constructor(now: () => number, tell: (news: LoginNews) => void = () => undefined) {
    this.#now = now;
    this.#tell = tell;
  }

  /** Counts what has come elsewhere. */
  hear({ what, address, user, key }: LoginNews): void {
    switch (what) {
      case 'begun':
        return this.#begin(address, user);
      case 'taken-back':
        return this.#takeBack(address, user);
      case 'refused':
        return this.#refused(key);
      case 'succeeded':
        return this.#succeeded(address, user);
    }
  }

  /** How long it is until a login is looked at, in ms; 0 where it is at once. */
  waitMs(address: string | undefined, user: string): number {
    const now = this.#now();
    const next = Math.max(this.#nextAt(this.#byAddress, networkOf(address)), this.#nextAt(this.#byUser, userKey(user)));
    return Math.max(next - now, 0);
  }

  /** A login is about to be looked at. It counts as failed until it succeeds, so that no more are tried meanwhile. */
  begin(address: string | undefined, user: string): void {
    this.#begin(address, user);
    this.#tell({ what: 'begun', address, user, key: '' });
  }

  #begin(address: string | undefined, user: string): void {
    this.#add(this.#byAddress, networkOf(address), ofAddresses);
    this.#add(this.#byUser, userKey(user), ofUsers);
  }

  /** It was not looked at after all. */
  takeBack(address: string | undefined, user: string): void {
    this.#takeBack(address, user);
    this.#tell({ what: 'taken-back', address, user, key: '' });
  }

  #takeBack(address: string | undefined, user: string): void {
    takeBack(this.#byAddress.get(networkOf(address)));
    takeBack(this.#byUser.get(userKey(user)));
  }

  /**
   * Whether the same was found wrong, and counted, not long ago: a program that goes on with a password of before guesses
   * nothing, and is not to keep others waiting.
   *
   * @param key stands for address, user and password, of which nothing can be told from it
   */
  isCounted(key: string): boolean {
    const at = this.#counted.get(key);
    return at !== undefined && this.#now() - at < forgottenAfterMs;
  }

  /** It was found wrong. */
  refused(key: string): void {
    if (this.isCounted(key)) return;
    this.#refused(key);
    this.#tell({ what: 'refused', address: undefined, user: '', key });
  }

  #refused(key: string): void {
    this.#counted.delete(key);
    this.#counted.set(key, this.#now());
    if (this.#counted.size <= mostRemembered) return;
    const [oldest] = this.#counted.keys();
    if (oldest !== undefined) this.#counted.delete(oldest);
  }

  succeeded(address: string | undefined, user: string): void {
    const isKnown = this.#byAddress.has(networkOf(address)) || this.#byUser.has(userKey(user));
    this.#succeeded(address, user);
    if (isKnown) this.#tell({ what: 'succeeded', address, user, key: '' });
  }

  #succeeded(address: string | undefined, user: string): void {
    this.#byAddress.delete(networkOf(address));
    this.#byUser.delete(userKey(user));
  }

  #nextAt(failures: Map<string, Failures>, key: string): number {
    const known = failures.get(key);
    if (known === undefined) return 0;
    if (this.#now() - known.lastAt < forgottenAfterMs) return known.nextAt;
    failures.delete(key);
    return 0;
  }

  #add(failures: Map<string, Failures>, key: string, { free, mostMs }: Pace): void {
    const now = this.#now();
    const before = failures.get(key);
    const count = before === undefined || now - before.lastAt >= forgottenAfterMs ? 1 : before.count + 1;
    const waitMs = count < free ? 0 : Math.min(firstWaitMs * 2 ** (count - free), mostMs);
    // Anew, so that the quietest stand first.
    failures.delete(key);
    failures.set(key, { count, nextAt: now + waitMs, lastAt: now });
    if (failures.size <= mostRemembered) return;
    const [quietest] = failures.keys();
    if (quietest !== undefined) failures.delete(quietest);
  }
}

function takeBack(failures: Failures | undefined): void {
  if (failures === undefined) return;
  failures.count -= 1;
  failures.nextAt = failures.lastAt;
}

/** What is sent as a name may be long. */
function userKey(user: string): string {
  return user.slice(0, longestName);
}

/** An IPv6 address stands for its /64, all of which one customer of a provider has. */
export function networkOf(address: string | undefined): string {
  if (address === undefined) return '';
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(address)) return address;
  const [before = '', after] = (address.split('%')[0] ?? '').split('::');
  const head = before === '' ? [] : before.split(':');
  const tail = after === undefined || after === '' ? [] : after.split(':');
  const gap = after === undefined ? [] : Array.from({ length: Math.max(8 - head.length - tail.length, 0) }, () => '0');
  return `${[...head, ...gap, ...tail]
    .slice(0, 4)
    .map((part) => part.toLowerCase().replace(/^0+(?=.)/, ''))
    .join(':')}::/64`;
}
