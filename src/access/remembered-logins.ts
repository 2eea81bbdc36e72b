import { createHmac, randomBytes } from 'node:crypto';
import type { Identity } from './identity.ts';

/** What tells one login from another without being of use to anybody else. */
export type LoginKey = string & { readonly __brand: 'LoginKey' };

interface Remembered<Outcome> {
  readonly outcome: Outcome;
  readonly until: number;
}

/** How long a login is remembered, in ms. */
const rememberedMs = 5 * 60_000;
const mostRemembered = 10_000;

/** What came of logins a moment ago, so that not every request costs a look at a password. */
export class RememberedLogins<Outcome = Identity> {
  /** Of this process alone: what is remembered is of no use in a dump of its memory without it. */
  readonly #key = randomBytes(32);
  readonly #logins = new Map<LoginKey, Remembered<Outcome>>();
  readonly #now: () => number;

  /** @param now of a clock that is never set, in ms */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** @param hash what the secret was compared with: a login is forgotten when that changes */
  keyOf(name: string, secret: string, hash: string): LoginKey {
    const hmac = createHmac('sha256', this.#key);
    for (const part of [name, secret, hash]) hmac.update(`${Buffer.byteLength(part)}:${part}`);
    const key = hmac.digest('base64');
    if (!isKey(key)) throw new Error('an HMAC is never empty');
    return key;
  }

  get(key: LoginKey): Outcome | undefined {
    const login = this.#logins.get(key);
    if (login === undefined) return undefined;
    if (login.until > this.#now()) return login.outcome;
    this.#logins.delete(key);
    return undefined;
  }

  add(key: LoginKey, outcome: Outcome): void {
    this.#logins.delete(key);
    this.#logins.set(key, { outcome, until: this.#now() + rememberedMs });
    if (this.#logins.size <= mostRemembered) return;
    const [oldest] = this.#logins.keys();
    if (oldest !== undefined) this.#logins.delete(oldest);
  }
}

function isKey(text: string): text is LoginKey {
  return text !== '';
}
