import { decodeJwt } from 'jose';
import type { Authentication, Authenticator, Credentials } from '../../access/authenticator.ts';
import type { Identity } from '../../access/identity.ts';
import { claimedHolder } from '../claimed-holder.ts';
import { type Holders, holderText } from './holders.ts';
import type { RegistryTokens, TokenContent } from './registry-tokens.ts';
import { grantedBy } from './scope.ts';

/** Knows whoever brings a token of the registry itself, and lets them do no more than it was issued for. */
export class TokenAuthenticator implements Authenticator {
  readonly #tokens: RegistryTokens;
  readonly #holders: Holders;
  /** By whom they are, and what the token is for: so that what they may do can be remembered with them. */
  readonly #identities = new WeakMap<TokenContent['access'], { readonly who: Identity; readonly limited: Identity }>();

  constructor(tokens: RegistryTokens, holders: Holders) {
    this.#tokens = tokens;
    this.#holders = holders;
  }

  async authenticate(credentials: Credentials): Promise<Authentication> {
    if (credentials.scheme !== 'bearer' || !isFrom(this.#tokens.service, credentials.token)) {
      return { outcome: 'not-mine' };
    }
    const checked = await this.#tokens.check(credentials.token);
    if (!checked.valid) {
      return { outcome: 'refused', reason: checked.reason, who: claimedHolder(credentials.token) };
    }
    const who = await this.#holders.identityOf(checked.holder);
    if (who === undefined) {
      return {
        outcome: 'refused',
        reason: 'whoever the token was issued to is not known any more, or has another secret',
        who: holderText(checked.holder),
      };
    }
    return { outcome: 'known', identity: this.#limited(who, checked.access) };
  }

  #limited(who: Identity, access: TokenContent['access']): Identity {
    const known = this.#identities.get(access);
    if (known?.who === who) return known.limited;
    const limited: Identity = { ...who, ...grantedBy(access) };
    this.#identities.set(access, { who, limited });
    return limited;
  }
}

/** Whom a token says to be from, before anything of it is believed. */
function isFrom(service: string, token: string): boolean {
  try {
    return decodeJwt(token).iss === service;
  } catch {
    return false;
  }
}
