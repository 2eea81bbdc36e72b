import { decodeJwt, errors, type JWTPayload, jwtVerify, type JWTVerifyOptions } from 'jose';
import { z } from 'zod';
import type { Clock } from '../../registry/clock.ts';
import type { Authentication, Authenticator, Credentials } from '../../access/authenticator.ts';
import type { Identity } from '../../access/identity.ts';
import { claimedHolder } from '../claimed-holder.ts';
import { reasonOf } from '../tokens/registry-tokens.ts';
import { grantedBy } from '../tokens/scope.ts';
import { identityOf } from './claims.ts';
import type { IssuerSet } from './issuer-set.ts';
import { type FindKey, keysOf } from './keys.ts';
import type { IssuerDefinition, ServiceIssuer } from './schema.ts';

/** The user name by which an issuer's token comes as a password. */
export const issuerUserName = 'oidc';

/** What issuers sign with. A secret that both sides share (`HS256`) is none: a public key would pass for it. */
const algorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

/** By how much an issuer's clock may differ, in seconds. */
const toleranceSeconds = 30;
/** A longer one is no token. */
const longestToken = 16_384;

const serviceClaims = z.object({
  sub: z.string().max(500).default(''),
  access: z
    .array(z.object({ type: z.string(), name: z.string(), actions: z.array(z.string()) }))
    .nullish()
    .transform((entries) => entries ?? []),
});

interface TrustedIssuer {
  readonly definition: IssuerDefinition;
  readonly findKey: FindKey;
}

/**
 * Knows whomever a configured issuer vouches for: by its token as a Bearer token, or as the password of the user `oidc`.
 * Only the issuer that a token names is asked for keys, and only where it is configured.
 */
export class TrustedIssuers implements Authenticator {
  readonly #byIssuer: ReadonlyMap<string, TrustedIssuer>;
  readonly #clock: Clock;

  constructor({ issuers }: Pick<IssuerSet, 'issuers'>, clock: Clock) {
    this.#byIssuer = new Map(
      issuers.map((definition) => [definition.issuer, { definition, findKey: keysOf(definition) }]),
    );
    this.#clock = clock;
  }

  /** Whether an issuer of this name is configured. */
  isConfigured(name: string): boolean {
    return [...this.#byIssuer.values()].some(({ definition }) => definition.name === name);
  }

  /**
   * Whether what an issuer has vouched for is still worth something: one of its name that is somebody else now does not
   * vouch for it.
   */
  isTrusted(name: string, issuer: string | undefined): boolean {
    return issuer !== undefined && this.#byIssuer.get(issuer)?.definition.name === name;
  }

  /** How long a person whom it vouches for may go on with refresh tokens, in ms; 0: not at all. */
  sessionMsOf(name: string): number {
    const found = [...this.#byIssuer.values()].find(({ definition }) => definition.name === name);
    return found === undefined || found.definition.kind === 'tokens' ? 0 : found.definition.sessionMs;
  }

  /** A token cannot be guessed, so nobody who has a right one is kept waiting for others who try wrong ones. */
  async recall(credentials: Credentials): Promise<Identity | undefined> {
    const authentication = await this.authenticate(credentials);
    return authentication.outcome === 'known' ? authentication.identity : undefined;
  }

  /** @throws IssuerUnreachableError */
  async authenticate(credentials: Credentials): Promise<Authentication> {
    if (credentials.scheme === 'bearer') return await this.#verify(credentials.token);
    if (credentials.name !== issuerUserName) return { outcome: 'not-mine' };
    return await this.#verify(credentials.secret, { isPassword: true });
  }

  async #verify(token: string, { isPassword = false } = {}): Promise<Authentication> {
    const iss = issuerOf(token);
    const trusted = iss === undefined ? undefined : this.#byIssuer.get(iss);
    if (trusted === undefined || (isPassword && trusted.definition.kind === 'tokens')) {
      // A user of the password file may be called like that too.
      return iss === undefined || !isPassword
        ? { outcome: 'not-mine' }
        : { outcome: 'refused', reason: 'the token is of an issuer that is not configured' };
    }
    const { definition, findKey } = trusted;
    const payload = await this.#payloadOf(token, definition, findKey);
    if (typeof payload === 'string') {
      return { outcome: 'refused', reason: `${definition.name}: ${payload}`, who: claimedHolder(token) };
    }
    if (definition.kind === 'tokens') return bearerOf(definition, payload);
    const result = identityOf(definition, payload);
    return result.ok
      ? { outcome: 'known', identity: result.identity }
      : { outcome: 'refused', reason: `${definition.name}: ${result.reason}`, who: claimedHolder(token) };
  }

  /** @returns what the token says, or why it is not believed */
  async #payloadOf(token: string, definition: IssuerDefinition, findKey: FindKey): Promise<JWTPayload | string> {
    const options: JWTVerifyOptions = {
      algorithms,
      issuer: definition.issuer,
      audience: definition.kind === 'tokens' ? definition.service : [...definition.audience],
      requiredClaims: definition.kind === 'tokens' ? ['exp'] : ['exp', 'sub'],
      clockTolerance: toleranceSeconds,
      currentDate: new Date(this.#clock.now()),
    };
    try {
      return await verified(token, findKey, options);
    } catch (error) {
      if (error instanceof errors.JOSEError) return reasonOf(error);
      throw error;
    }
  }
}

/** Where several keys fit, it is tried with each. */
async function verified(token: string, findKey: FindKey, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, findKey, options)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const key of error) {
      try {
        return (await jwtVerify(token, key, options)).payload;
      } catch (failure) {
        if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

/** A token of an outside token service is for what it says, within what the policy allows. */
function bearerOf({ name, issuer }: ServiceIssuer, payload: JWTPayload): Authentication {
  const claims = serviceClaims.safeParse(payload);
  if (!claims.success) return { outcome: 'refused', reason: `${name}: the token is not one of the token protocol` };
  const { sub, access } = claims.data;
  return {
    outcome: 'known',
    identity: {
      ...(sub === ''
        ? { kind: 'anonymous', name: '', groups: [], claims: {} }
        : { kind: 'user', name: `${name}:${sub}`, groups: [], claims: { iss: [issuer], sub: [sub] } }),
      issuer: name,
      ...grantedBy(access),
    },
  };
}

/** Whom a token says to be from, before anything of it is believed; undefined for what is no token. */
function issuerOf(token: string): string | undefined {
  if (token.length > longestToken) return undefined;
  try {
    const { iss } = decodeJwt(token);
    return typeof iss === 'string' ? iss : undefined;
  } catch {
    return undefined;
  }
}
