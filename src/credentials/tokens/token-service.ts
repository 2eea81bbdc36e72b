import type { RepositoryName } from '../../oci/names.ts';
import type { Action } from '../../access/action.ts';
import { type Identity, identityKey } from '../../access/identity.ts';
import { type Holders, holderText } from './holders.ts';
import type { RefreshHolder, RefreshTokens } from './refresh-tokens.ts';
import type { Holder, IssuedToken, RegistryTokens } from './registry-tokens.ts';
import { allowedOf, type Scope } from './scope.ts';

/** Who asks for a token: somebody who has proven who they are, or nobody; or whoever has a refresh token. */
export type Asker =
  | { readonly kind: 'identity'; readonly identity: Identity }
  | { readonly kind: 'refresh-token'; readonly token: string };

export interface TokenRequest {
  readonly asker: Asker;
  readonly scopes: readonly Scope[];
  /** Whether a refresh token is wanted too. */
  readonly isOffline: boolean;
  /** What the client calls itself; empty where it does not say. */
  readonly clientId: string;
}

export type TokenOutcome =
  | {
      readonly outcome: 'issued';
      readonly token: IssuedToken;
      readonly refreshToken: string | undefined;
      /** What it is for, of what was asked for. */
      readonly scopes: readonly string[];
      readonly identity: Identity;
    }
  /** `reason` is for the log, never for the client; `who` is who has asked, as far as it is known. */
  | { readonly outcome: 'refused'; readonly reason: string; readonly who: string | undefined };

export interface TokenServiceParts {
  readonly tokens: RegistryTokens;
  readonly refreshTokens: RefreshTokens;
  readonly holders: Holders;
  /** What the policy allows. */
  readonly may: (identity: Identity, action: Action, repo: RepositoryName) => boolean;
  /** How long a refresh token lasts at most, in ms; 0: there are none. */
  readonly refreshLifeMs: number;
  /** How long one lasts for whom an issuer vouches for, in ms; 0: not at all. */
  readonly sessionMsOf: (issuer: string) => number;
}

/** Gives tokens for what is asked for and allowed (distribution, "Token Authentication Specification"). */
export class TokenService {
  readonly #parts: TokenServiceParts;

  constructor(parts: TokenServiceParts) {
    this.#parts = parts;
  }

  /** What clients call the registry where they ask for tokens. */
  get service(): string {
    return this.#parts.tokens.service;
  }

  async issue({ asker, scopes, isOffline, clientId }: TokenRequest): Promise<TokenOutcome> {
    const { tokens, holders, may } = this.#parts;
    const asking = asker.kind === 'identity' ? asker : await this.#refreshed(asker.token);
    if ('outcome' in asking) return asking;
    const { identity } = asking;
    // Else who has a token for little would get one for more by it.
    const holder = identity.grants === undefined ? await holders.holderOf(identity) : undefined;
    if (holder === undefined) {
      return { outcome: 'refused', reason: 'no token can be issued to them', who: identityKey(identity) };
    }
    const access = allowedOf(scopes, (action, repo) => may(identity, action, repo));
    return {
      outcome: 'issued',
      token: await tokens.issue({ holder, access }),
      refreshToken: await this.#refreshToken(asker, holder, { isOffline, clientId }),
      scopes: access.map(({ type, name, actions }) => `${type}:${name}:${actions.join(',')}`),
      identity,
    };
  }

  async #refreshed(
    token: string,
  ): Promise<{ readonly identity: Identity } | Extract<TokenOutcome, { readonly outcome: 'refused' }>> {
    const { refreshTokens, holders } = this.#parts;
    const holder = await refreshTokens.find(token, this.service);
    if (holder === undefined) {
      return { outcome: 'refused', reason: 'it is unknown or over', who: undefined };
    }
    const identity = await holders.identityOf(holder);
    if (identity !== undefined) return { identity };
    await refreshTokens.forget(token);
    return {
      outcome: 'refused',
      reason: 'whoever it was issued to has gone, or has another secret',
      who: holderText(holder),
    };
  }

  /** The same again for who has one: clients use it from several programs at once. */
  async #refreshToken(
    asker: Asker,
    holder: Holder,
    { isOffline, clientId }: Pick<TokenRequest, 'isOffline' | 'clientId'>,
  ): Promise<string | undefined> {
    if (asker.kind === 'refresh-token') return asker.token;
    const { refreshTokens, refreshLifeMs, sessionMsOf } = this.#parts;
    if (!isOffline || !mayBeRefreshed(holder)) return undefined;
    const lifeMs = Math.min(refreshLifeMs, holder.issuer === undefined ? Infinity : sessionMsOf(holder.issuer));
    if (lifeMs <= 0) return undefined;
    return await refreshTokens.issue({ holder, service: this.service, clientId, lifeMs });
  }
}

/** A job brings a new token of its issuer each time, and a certificate is there each time. */
function mayBeRefreshed(holder: Holder): holder is RefreshHolder {
  return holder.kind === 'user' || holder.kind === 'robot';
}
