import { z } from 'zod';
import { change, first, type Operation } from '../../metadata/operation.ts';
import {
  deleteEndedRefreshTokens,
  deleteIdleRefreshTokens,
  deleteRefreshToken,
  findRefreshToken,
  insertRefreshToken,
  touchRefreshToken,
} from '../../metadata/queries/refresh-tokens.ts';
import type { MetadataStore } from '../../metadata/store.ts';
import type { Clock } from '../../registry/clock.ts';
import { newSecret, secretHashOf } from '../secret.ts';
import type { Holder } from './registry-tokens.ts';

/** What a refresh token begins with. */
export const refreshTokenPrefix = 'wherry_refresh_';

/** Of an account. Every `docker login` takes one; those not used for longest go first. */
const mostOfAccount = 50;
/** How many that are over go with each new one. */
const endedAtOnce = 20;
/** How many of an account go at once: there is no more than one too many. */
const idleAtOnce = 10;
/** How precise the time of the last use is, in ms. */
const useGrainMs = 600_000;

/** Who a refresh token may be issued to. */
export type RefreshHolder = Holder & { readonly kind: 'user' | 'robot' };

export interface RefreshTokenRequest {
  readonly holder: RefreshHolder;
  readonly service: string;
  readonly clientId: string;
  readonly lifeMs: number;
}

const keptIdentity = z.object({
  groups: z.array(z.string()),
  claims: z.record(z.string(), z.array(z.string())),
  issuer: z.string().optional(),
});

/** What clients keep in place of a password. Only their SHA-256 is kept here. */
export class RefreshTokens {
  readonly #metadata: MetadataStore;
  readonly #clock: Clock;

  constructor({ metadata, clock }: { readonly metadata: MetadataStore; readonly clock: Clock }) {
    this.#metadata = metadata;
    this.#clock = clock;
  }

  async issue({ holder, service, clientId, lifeMs }: RefreshTokenRequest): Promise<string> {
    const token = newSecret(refreshTokenPrefix);
    const now = this.#clock.now();
    const { kind, name, groups, claims, issuer, credential = '' } = holder;
    const row = {
      tokenHash: secretHashOf(token),
      kind,
      name,
      identity: JSON.stringify({ groups, claims, issuer }),
      credential,
      service,
      clientId,
      now,
      expiresAt: now + lifeMs,
    };
    function* issue(): Operation<void> {
      yield* change(deleteEndedRefreshTokens, { now, limit: endedAtOnce });
      yield* change(deleteIdleRefreshTokens, { kind, name, kept: mostOfAccount - 1, limit: idleAtOnce });
      yield* change(insertRefreshToken, row);
    }
    await this.#metadata.write(issue, { whileReadOnly: true });
    return token;
  }

  /** Who a token was issued to, as they stood then; undefined for one that is unknown, over, or for another service. */
  async find(token: string, service: string): Promise<RefreshHolder | undefined> {
    if (!token.startsWith(refreshTokenPrefix)) return undefined;
    const tokenHash = secretHashOf(token);
    const row = await this.#metadata.read(() => first(findRefreshToken, { tokenHash }));
    const now = this.#clock.now();
    if (row === undefined || row.expires_at <= now || row.service !== service) return undefined;
    if (now - row.last_used_at >= useGrainMs) {
      await this.#metadata.writeUnsynced(() => change(touchRefreshToken, { tokenHash, now }), { whileReadOnly: true });
    }
    const { groups, claims, issuer } = keptIdentity.parse(JSON.parse(row.identity));
    const { kind, name, credential } = row;
    return {
      kind,
      name,
      groups,
      claims,
      ...(issuer !== undefined && { issuer }),
      ...(credential !== '' && { credential }),
    };
  }

  /** Forgets a token: whoever it was issued to has gone, or has another password. */
  async forget(token: string): Promise<void> {
    const tokenHash = secretHashOf(token);
    await this.#metadata.writeUnsynced(() => change(deleteRefreshToken, { tokenHash }), {
      fromReserve: true,
      whileReadOnly: true,
    });
  }
}
