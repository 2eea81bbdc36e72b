import { errors, type JWTPayload, jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import type { Clock } from '../../registry/clock.ts';
import type { AccessEntry } from './scope.ts';
import { signingAlgorithm, type SigningKeys } from './signing-keys.ts';

/** By how much the clocks of a registry's machines may differ, in seconds. */
const skewSeconds = 10;
/** Tokens that were checked not long ago, whose signature is not checked again. */
const mostChecked = 1000;
/** A longer one is none of ours. */
const longestToken = 16_384;

/** Who a token was issued to. */
const holder = z.object({
  kind: z.enum(['anonymous', 'user', 'robot', 'workload', 'certificate']),
  name: z.string(),
  groups: z.array(z.string()).default([]),
  claims: z.record(z.string(), z.array(z.string())).default({}),
  /** The issuer that vouches for it, by its name in the configuration. */
  issuer: z.string().optional(),
  /** What stands for its password or secret (account.ts). */
  credential: z.string().optional(),
});

export type Holder = z.output<typeof holder>;

const accessEntry = z.object({ type: z.string(), name: z.string(), actions: z.array(z.string()) });

const payloadShape = z.object({ exp: z.number(), access: z.array(accessEntry), holder });

/** What a token says, of which its signature vouches. */
export interface TokenContent {
  readonly holder: Holder;
  readonly access: readonly AccessEntry[];
}

export type Checked =
  | ({ readonly valid: true } & TokenContent)
  /** `reason` is for the log. */
  | { readonly valid: false; readonly reason: string };

export interface IssuedToken {
  readonly token: string;
  readonly expiresInSeconds: number;
  /** In ms since 1970. */
  readonly issuedAt: number;
}

export interface RegistryTokenParts {
  readonly keys: SigningKeys;
  readonly clock: Clock;
  /** Who issues the tokens and whom they are for: the registry itself, in both. */
  readonly service: string;
  readonly lifeMs: number;
}

/** The registry's own tokens: JSON Web Tokens as distribution's "Token Authentication Implementation" has them. */
export class RegistryTokens {
  readonly #parts: RegistryTokenParts;
  /** By the token. Memory only, and only as long as each lasts. */
  readonly #checked = new Map<string, TokenContent & { readonly expiresAt: number }>();

  constructor(parts: RegistryTokenParts) {
    this.#parts = parts;
  }

  get service(): string {
    return this.#parts.service;
  }

  async issue({ holder: to, access }: TokenContent): Promise<IssuedToken> {
    const { keys, clock, service, lifeMs } = this.#parts;
    const { kid, key } = await keys.signer();
    const issuedAt = clock.now();
    const issuedSeconds = Math.floor(issuedAt / 1000);
    const lifeSeconds = Math.floor(lifeMs / 1000);
    const token = await new SignJWT({ access, holder: to })
      .setProtectedHeader({ alg: signingAlgorithm, typ: 'JWT', kid })
      .setIssuer(service)
      .setAudience(service)
      .setSubject(subjectOf(to))
      .setIssuedAt(issuedSeconds)
      .setNotBefore(issuedSeconds - skewSeconds)
      .setExpirationTime(issuedSeconds + lifeSeconds)
      .setJti(crypto.randomUUID())
      .sign(key);
    return { token, expiresInSeconds: lifeSeconds, issuedAt };
  }

  /** Checks signature, issuer, audience and times. Whoever holds it may have lost their account since: that is not looked at. */
  async check(token: string): Promise<Checked> {
    const now = this.#parts.clock.now();
    const known = this.#checked.get(token);
    if (known !== undefined && now < known.expiresAt) {
      return { valid: true, holder: known.holder, access: known.access };
    }
    if (token.length > longestToken) return { valid: false, reason: 'the token is too long' };
    const verified = await this.#verify(token, now);
    if (typeof verified === 'string') return { valid: false, reason: verified };
    const parsed = payloadShape.safeParse(verified);
    if (!parsed.success) return { valid: false, reason: 'the token says something else than those of this registry' };
    const { exp, ...content } = parsed.data;
    if (this.#checked.size >= mostChecked) this.#checked.clear();
    this.#checked.set(token, { ...content, expiresAt: exp * 1000 });
    return { valid: true, ...content };
  }

  /** @returns why it is not valid, for the log */
  async #verify(token: string, now: number): Promise<JWTPayload | string> {
    const { keys, service } = this.#parts;
    try {
      const { payload } = await jwtVerify(
        token,
        async ({ kid }) => {
          // What a header says is the client's, of whatever type.
          const name: unknown = kid;
          const key = typeof name === 'string' ? await keys.verifier(name) : undefined;
          if (key === undefined) throw new errors.JWKSNoMatchingKey('no key of that name');
          return key;
        },
        {
          algorithms: [signingAlgorithm],
          issuer: service,
          audience: service,
          typ: 'JWT',
          requiredClaims: ['sub', 'exp', 'nbf', 'iat', 'jti'],
          currentDate: new Date(now),
        },
      );
      return payload;
    } catch (error) {
      if (error instanceof errors.JOSEError) return reasonOf(error);
      throw error;
    }
  }
}

/** What jose says of a token. What is not supported it names as the token does, which is the client's text. */
export function reasonOf(error: errors.JOSEError): string {
  return error instanceof errors.JOSENotSupported ? error.code : `${error.code}: ${error.message}`;
}

function subjectOf({ kind, name }: Holder): string {
  return kind === 'robot' ? `robot+${name}` : name;
}
