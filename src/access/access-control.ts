import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Authentication, Authenticator, Credentials } from './authenticator.ts';
import { basicChallenger, type Challenger } from './challenger.ts';
import type { FailedLogins } from './failed-logins.ts';
import { type Identity, operator } from './identity.ts';
import type { AccessPolicy } from './policy.ts';
import { SealedPlaces } from './sealed-places.ts';
import { allRights, openRights, type Rights } from './rights.ts';

type BearerCredentials = Extract<Credentials, { readonly scheme: 'bearer' }>;
type BasicCredentials = Extract<Credentials, { readonly scheme: 'basic' }>;

/** What comes of credentials that a request has brought. */
export type Login =
  | { readonly outcome: 'known'; readonly identity: Identity }
  /** They prove nothing. Why is for the log only. */
  | { readonly outcome: 'refused' }
  /** They were not looked at: too many wrong ones have come before, or too many come at once. */
  | { readonly outcome: 'slowed'; readonly waitMs: number };

/** Where a login comes from. */
export interface LoginOrigin {
  /** As far as it is known. */
  readonly address: string | undefined;
  /** Of the request that brings it; undefined where none was read. */
  readonly requestId: string | undefined;
}

/** A login that was refused, for the event log. */
export interface RefusedLogin extends LoginOrigin {
  /** What was to prove who it is. */
  readonly means: 'password' | 'token' | 'refresh token' | 'certificate' | 'header Authorization';
  /** As it was given: it may be nobody's. Empty where nobody is named. */
  readonly user: string;
  readonly reason: string;
}

export interface AccessControlParts {
  readonly policy: AccessPolicy;
  /** Nobody has to say who they are, and everybody may all but administer. */
  readonly isOpen: boolean;
  /** Asked one after the other, until one knows what to make of credentials. */
  readonly authenticators: readonly Authenticator[];
  readonly challenger?: Challenger;
  readonly failedLogins: FailedLogins;
  readonly onRefused: (refused: RefusedLogin) => void;
  /** Whoever knows it may do everything. */
  readonly operatorToken: string;
  /** What all processes know that clients may come to by turns; random where it is left out. */
  readonly secret?: Buffer | undefined;
}

/** How long whoever comes when too many log in at once should wait, in ms. */
const busyWaitMs = 1000;

/** Finds out who asks, and what they may do. */
export class AccessControl {
  readonly isOpen: boolean;
  readonly challenger: Challenger;
  /** Where lists have come to. */
  readonly places: SealedPlaces;
  #policy: AccessPolicy;
  readonly #authenticators: readonly Authenticator[];
  readonly #failedLogins: FailedLogins;
  readonly #onRefused: (refused: RefusedLogin) => void;
  readonly #operatorToken: Buffer;
  /** Passwords that are being looked at: a client that sends many requests at once has tried one. */
  readonly #underWay = new Map<string, Promise<Login>>();
  readonly #key: Buffer;

  constructor(parts: AccessControlParts) {
    this.#policy = parts.policy;
    const secret = parts.secret ?? randomBytes(32);
    this.#key = keyFrom(secret, 'failed logins');
    this.places = new SealedPlaces(keyFrom(secret, 'places of lists'));
    this.isOpen = parts.isOpen;
    this.challenger = parts.challenger ?? basicChallenger;
    this.#authenticators = parts.authenticators;
    this.#failedLogins = parts.failedLogins;
    this.#onRefused = parts.onRefused;
    this.#operatorToken = sha256(parts.operatorToken);
  }

  /** Who may do what, as it is now. */
  get policy(): AccessPolicy {
    return this.#policy;
  }

  /** Has other rules decide from the next request on. */
  adopt(policy: AccessPolicy): void {
    this.#policy = policy;
  }

  /** Whether there is anybody whom a client could log in as. */
  get canLogIn(): boolean {
    return this.#authenticators.length > 0;
  }

  /** What somebody may do. */
  rightsOf(identity: Identity): Rights {
    if (identity.kind === 'operator') return allRights;
    return this.isOpen ? openRights : this.#policy.rightsOf(identity);
  }

  /** Whether these are the operator's. It compares digests, so that the time that it takes tells nothing of the token. */
  isOperator(credentials: Credentials): boolean {
    return credentials.scheme === 'bearer' && timingSafeEqual(sha256(credentials.token), this.#operatorToken);
  }

  /** Who brings these credentials. */
  async logIn(credentials: Credentials, from: LoginOrigin): Promise<Login> {
    if (credentials.scheme === 'bearer') return await this.#tryToken(credentials, from);
    const { address } = from;
    for (const authenticator of this.#authenticators) {
      const identity = await authenticator.recall?.(credentials);
      if (identity !== undefined) return { outcome: 'known', identity };
    }
    const key = this.#keyOf(credentials, address);
    const same = this.#underWay.get(key);
    if (same !== undefined) return await same;
    const login = this.#tryPassword(credentials, from, key);
    this.#underWay.set(key, login);
    try {
      return await login;
    } finally {
      this.#underWay.delete(key);
    }
  }

  /** Has it written down that somebody was not let in. */
  noteRefused(refused: RefusedLogin): void {
    this.#onRefused(refused);
  }

  /** A token cannot be guessed, and every client shows one that has expired at times: nobody is slowed down by them. */
  async #tryToken(credentials: BearerCredentials, from: LoginOrigin): Promise<Login> {
    if (this.isOperator(credentials)) return { outcome: 'known', identity: operator };
    const authentication = await this.#authenticate(credentials);
    switch (authentication.outcome) {
      case 'known':
        return authentication;
      case 'busy':
        return { outcome: 'slowed', waitMs: busyWaitMs };
      case 'refused':
        this.#onRefused({ ...from, means: 'token', user: authentication.who ?? '', reason: authentication.reason });
        return { outcome: 'refused' };
      case 'not-mine':
        this.#onRefused({ ...from, means: 'token', user: '', reason: 'it is of nobody who is believed here' });
        return { outcome: 'refused' };
    }
  }

  /** @param key stands for all of it */
  async #tryPassword(credentials: BasicCredentials, from: LoginOrigin, key: string): Promise<Login> {
    // Nothing can be guessed where nobody can log in.
    if (!this.canLogIn) return { outcome: 'refused' };
    const { name } = credentials;
    const { address } = from;
    const isCounted = this.#failedLogins.isCounted(key);
    if (!isCounted) {
      const waitMs = this.#failedLogins.waitMs(address, name);
      if (waitMs > 0) return { outcome: 'slowed', waitMs };
      this.#failedLogins.begin(address, name);
    }
    const authentication = await this.#authenticate(credentials);
    switch (authentication.outcome) {
      case 'known':
        this.#failedLogins.succeeded(address, name);
        return authentication;
      case 'busy':
        if (!isCounted) this.#failedLogins.takeBack(address, name);
        return { outcome: 'slowed', waitMs: busyWaitMs };
      case 'refused':
      case 'not-mine': {
        this.#failedLogins.refused(key);
        const reason = authentication.outcome === 'refused' ? authentication.reason : 'nobody here logs in so';
        this.#onRefused({ ...from, means: 'password', user: name, reason });
        return { outcome: 'refused' };
      }
    }
  }

  async #authenticate(credentials: Credentials): Promise<Authentication> {
    for (const authenticator of this.#authenticators) {
      const authentication = await authenticator.authenticate(credentials);
      if (authentication.outcome !== 'not-mine') return authentication;
    }
    return { outcome: 'not-mine' };
  }

  #keyOf({ name, secret }: BasicCredentials, address = ''): string {
    return createHmac('sha256', this.#key)
      .update(JSON.stringify([name, secret, address]))
      .digest('base64');
  }
}

function keyFrom(secret: Buffer, what: string): Buffer {
  return createHmac('sha256', secret).update(what).digest();
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
