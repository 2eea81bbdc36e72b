import { readFile, stat } from 'node:fs/promises';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type FlattenedJWSInput,
  type CryptoKey,
  type JWSHeaderParameters,
} from 'jose';
import { z } from 'zod';
import { certificateKeys } from './certificate-keys.ts';
import { problemOfUrl, type IssuerDefinition } from './schema.ts';
import { IssuerUnreachableError } from './unreachable.ts';

/** Finds the key that a token says to be signed with. @throws IssuerUnreachableError, or what jose throws */
export type FindKey = (header?: JWSHeaderParameters, token?: FlattenedJWSInput) => Promise<CryptoKey>;

const askTimeoutMs = 5000;
/** How long keys are believed without asking again. */
const keysLifeMs = 600_000;
/** An unknown key's name has the keys asked for again, but no more often than this. */
const cooldownMs = 30_000;
/** An issuer that has just failed to answer is not asked again before this. */
const retryMs = 5000;
/** More than this is no list of keys, in bytes. */
const largestAnswer = 1 << 20;
/** How often a file is looked at for a change. */
const fileLookMs = 1000;

const discoveryDocument = z.object({ issuer: z.string(), jwks_uri: z.string() });

/** Where the keys of an issuer come from, as configured. Nothing is asked for before a token needs it. */
export function keysOf({ name, issuer, keys }: IssuerDefinition): FindKey {
  switch (keys.kind) {
    case 'url':
      return remoteKeys(name, async () => keys.url);
    case 'discovery':
      return remoteKeys(name, async () => await discovered(issuer));
    case 'file':
      return fileKeys(name, keys.path);
  }
}

/** Keys behind a URL, which is found out when it is first needed. */
function remoteKeys(name: string, locate: () => Promise<URL>): FindKey {
  let known: ReturnType<typeof createRemoteJWKSet> | undefined;
  let locating: Promise<ReturnType<typeof createRemoteJWKSet>> | undefined;
  let failed: { readonly at: number; readonly error: unknown } | undefined;

  async function located(): Promise<ReturnType<typeof createRemoteJWKSet>> {
    const set = createRemoteJWKSet(await locate(), {
      timeoutDuration: askTimeoutMs,
      cooldownDuration: cooldownMs,
      cacheMaxAge: keysLifeMs,
      [customFetch]: async (url, { headers, signal }) => await askedFor(url, signal, headers),
    });
    known = set;
    return set;
  }

  return async (header, token) => {
    if (failed !== undefined && performance.now() - failed.at < retryMs && known?.fresh !== true) {
      throw new IssuerUnreachableError(name, failed.error);
    }
    try {
      locating ??= known === undefined ? located().finally(() => (locating = undefined)) : undefined;
      const set = known ?? (await locating);
      if (set === undefined) throw new Error('nothing was located');
      const key = await set(header, token);
      failed = undefined;
      return key;
    } catch (error) {
      if (isAboutToken(error)) throw error;
      failed = { at: performance.now(), error };
      throw new IssuerUnreachableError(name, error);
    }
  };
}

/** OpenID Connect Discovery 1.0, section 4. */
async function discovered(issuer: string): Promise<URL> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const answer = await askedFor(url, AbortSignal.timeout(askTimeoutMs));
  if (answer.status !== 200) throw new Error(`${url} was answered with ${answer.status}`);
  const document = discoveryDocument.parse(await answer.json());
  if (document.issuer !== issuer) throw new Error(`${url} is about another issuer`);
  const problem = problemOfUrl(document.jwks_uri);
  if (problem !== undefined) throw new Error(`the jwks_uri of ${url}: ${problem}`);
  return new URL(document.jwks_uri);
}

/** Follows nobody elsewhere, waits no longer and reads no more than it should. */
async function askedFor(url: string, signal: AbortSignal, headers?: Headers): Promise<Response> {
  const answer = await fetch(url, { signal, redirect: 'error', headers: headers ?? { accept: 'application/json' } });
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  const body: ReadableStream<Uint8Array> = answer.body ?? new Blob([]).stream();
  for await (const chunk of body) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > largestAnswer) throw new Error(`${url} was answered with more than ${largestAnswer} bytes`);
    chunks.push(chunk);
  }
  return new Response(Buffer.concat(chunks), { status: answer.status });
}

/** Keys in a file: a JWKS, or certificates in PEM. It is read again when it changes. */
function fileKeys(name: string, path: string): FindKey {
  let known: { readonly version: string; readonly find: FindKey } | undefined;
  let lookedAt = -Infinity;
  let looking: Promise<FindKey> | undefined;

  async function look(): Promise<FindKey> {
    const { mtimeMs, size, ino } = await stat(path);
    const version = `${ino} ${size} ${mtimeMs}`;
    if (known?.version !== version) known = { version, find: keysIn(await readFile(path, 'utf8')) };
    lookedAt = performance.now();
    return known.find;
  }

  return async (header, token) => {
    const isRecent = performance.now() - lookedAt < fileLookMs;
    let find: FindKey;
    try {
      looking ??= look().finally(() => (looking = undefined));
      find = isRecent && known !== undefined ? known.find : await looking;
    } catch (error) {
      throw new IssuerUnreachableError(name, error);
    }
    return await find(header, token);
  };
}

function keysIn(text: string): FindKey {
  if (text.includes('-----BEGIN')) return certificateKeys(text);
  return createLocalJWKSet(z.object({ keys: z.array(z.looseObject({ kty: z.string() })) }).parse(JSON.parse(text)));
}

/** Whether it is the token that is wrong, not whoever was asked for keys. */
function isAboutToken(error: unknown): boolean {
  return (
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JOSENotSupported
  );
}
