import { calculateJwkThumbprint, type CryptoKey, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose';
import { z } from 'zod';
import { change, first, type Operation } from '../../metadata/operation.ts';
import {
  deleteOldSigningKeys,
  findSigningKey,
  insertSigningKey,
  retireSigningKey,
  signingKeyInUse,
} from '../../metadata/queries/signing-keys.ts';
import type { SigningKeyTable } from '../../metadata/schema.ts';
import type { MetadataStore } from '../../metadata/store.ts';
import type { Clock } from '../../registry/clock.ts';

/** How tokens are signed: ECDSA with P-256 and SHA-256. */
export const signingAlgorithm = 'ES256';

/** How long after its last token has ended a key is kept, in ms: clocks of several machines may differ. */
const slackMs = 60_000;

/** Keys in memory: the one that signs and those whose tokens are in use are few. */
const mostKnown = 32;

export interface Signer {
  readonly kid: string;
  readonly key: CryptoKey;
}

interface KnownKey extends Signer {
  readonly publicKey: CryptoKey;
}

const privateJwk = z.object({ kty: z.literal('EC'), crv: z.string(), x: z.string(), y: z.string(), d: z.string() });

export interface SigningKeyParts {
  readonly metadata: MetadataStore;
  readonly clock: Clock;
  /** How long one key signs, in ms. */
  readonly rotationMs: number;
  /** How long a token lasts, in ms. */
  readonly tokenLifeMs: number;
}

/**
 * The keys that sign tokens. The registry makes them itself and keeps them in its database, which all processes of a
 * registry share. One signs; one that has been replaced is known until the last token that it has signed is over.
 */
export class SigningKeys {
  readonly #parts: SigningKeyParts;
  readonly #known = new Map<string, KnownKey>();

  constructor(parts: SigningKeyParts) {
    this.#parts = parts;
  }

  /** The key that signs now: a new one where there is none yet, or where the one there is has signed for long enough. */
  async signer(): Promise<Signer> {
    const { metadata, clock } = this.#parts;
    const row = await metadata.read(() => first(signingKeyInUse, {}));
    return await this.#keyOf(row !== undefined && this.#isYoung(row, clock.now()) ? row : await this.#rotate());
  }

  /** The key that checks what the key of that name has signed; undefined where no token of it can be valid any more. */
  async verifier(kid: string): Promise<CryptoKey | undefined> {
    const { metadata, clock, tokenLifeMs } = this.#parts;
    const row = await metadata.read(() => first(findSigningKey, { kid }));
    if (row === undefined) return undefined;
    const isOver = row.retired_at !== null && row.retired_at + tokenLifeMs + slackMs <= clock.now();
    return isOver ? undefined : (await this.#keyOf(row)).publicKey;
  }

  #isYoung({ created_at }: SigningKeyTable, now: number): boolean {
    // A clock that is set back does not make a key older than it is.
    return now - created_at < this.#parts.rotationMs;
  }

  async #rotate(): Promise<SigningKeyTable> {
    const { metadata, clock, tokenLifeMs } = this.#parts;
    const { kid, text } = await newKey();
    const now = clock.now();
    const isYoung = (row: SigningKeyTable) => this.#isYoung(row, now);
    return await metadata.write(
      function* rotate(): Operation<SigningKeyTable> {
        const there = yield* first(signingKeyInUse, {});
        // Another request, or another process, was faster.
        if (there !== undefined && isYoung(there)) return there;
        if (there !== undefined) yield* change(retireSigningKey, { kid: there.kid, now });
        yield* change(insertSigningKey, { kid, privateKey: text, now });
        yield* change(deleteOldSigningKeys, { retiredBefore: now - tokenLifeMs - slackMs });
        return { kid, private_key: text, created_at: now, retired_at: null };
      },
      { fromReserve: true, whileReadOnly: true },
    );
  }

  async #keyOf({ kid, private_key: text }: SigningKeyTable): Promise<KnownKey> {
    const known = this.#known.get(kid);
    if (known !== undefined) return known;
    const jwk = privateJwk.parse(JSON.parse(text));
    const { d, ...publicJwk } = jwk;
    const key = { kid, key: await imported({ ...publicJwk, d }), publicKey: await imported(publicJwk) };
    if (this.#known.size >= mostKnown) this.#known.clear();
    this.#known.set(kid, key);
    return key;
  }
}

async function newKey(): Promise<{ readonly kid: string; readonly text: string }> {
  const { privateKey } = await generateKeyPair(signingAlgorithm, { extractable: true });
  const jwk = await exportJWK(privateKey);
  return { kid: await calculateJwkThumbprint(jwk), text: JSON.stringify(jwk) };
}

async function imported(jwk: JWK): Promise<CryptoKey> {
  const key = await importJWK(jwk, signingAlgorithm);
  if (key instanceof Uint8Array) throw new Error('a signing key is not a key pair');
  return key;
}
