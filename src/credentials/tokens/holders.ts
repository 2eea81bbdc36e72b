import type { Accounts } from '../account.ts';
import type { Identity } from '../../access/identity.ts';
import type { Holder } from './registry-tokens.ts';

/** Knows whose word issued something, and whether that still counts. */
export interface IssuersOfHolders {
  /** @param issuer the `iss` of what it has vouched for */
  isTrusted(name: string, issuer: string | undefined): boolean;
}

/** `user:alice`, for the logs. */
export function holderText({ kind, name }: Pick<Holder, 'kind' | 'name'>): string {
  return name === '' ? kind : `${kind}:${name}`;
}

/**
 * Whom tokens are issued to. A token names its holder; who that is, and whether they may still come, is looked up each
 * time it is used: a robot that is revoked, a user taken from the password file, a changed password, an issuer no longer
 * configured end it at once (ADR 13).
 */
export class Holders {
  readonly #accounts: readonly Accounts[];
  readonly #issuers: IssuersOfHolders;
  /** So that what somebody may do can be remembered with them: by the holder, as long as that is remembered. */
  readonly #identities = new WeakMap<Holder, Identity>();

  constructor(accounts: readonly Accounts[], issuers: IssuersOfHolders) {
    this.#accounts = accounts;
    this.#issuers = issuers;
  }

  /** What a token has to say of somebody; undefined where none can be issued to them. */
  async holderOf({ kind, name, groups, claims, issuer }: Identity): Promise<Holder | undefined> {
    if (kind === 'operator') return undefined;
    const lists = Object.entries(claims).map(([claim, values]): [string, string[]] => [claim, [...values]]);
    const about = { kind, name, groups: [...groups], claims: Object.fromEntries(lists) };
    if (issuer !== undefined) return { ...about, issuer };
    if (kind !== 'user' && kind !== 'robot') return about;
    const account = await this.#account(kind, name);
    return account === undefined ? undefined : { ...about, credential: account.credential };
  }

  /** Who a holder is now; undefined where they may not come any more. */
  async identityOf(holder: Holder): Promise<Identity | undefined> {
    const { kind, name, groups, claims, issuer, credential } = holder;
    if (issuer !== undefined) {
      if (!this.#issuers.isTrusted(issuer, claims['iss']?.[0])) return undefined;
    } else if (kind === 'user' || kind === 'robot') {
      const account = await this.#account(kind, name);
      if (account === undefined || account.credential !== credential) return undefined;
    }
    const known = this.#identities.get(holder);
    if (known !== undefined) return known;
    const identity: Identity = { kind, name, groups, claims, ...(issuer !== undefined && { issuer }) };
    this.#identities.set(holder, identity);
    return identity;
  }

  async #account(kind: 'user' | 'robot', name: string) {
    const accounts = this.#accounts.find((one) => one.kind === kind);
    return await accounts?.find(name);
  }
}
