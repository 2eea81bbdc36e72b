import { X509Certificate } from 'node:crypto';
import { createLocalJWKSet, errors, exportJWK, importX509, type JWK } from 'jose';
import type { FindKey } from './keys.ts';

/** A longer chain is none that anybody made. */
const longestChain = 5;

/**
 * The keys of certificates that are valid now: a token is signed by one of them, or brings a chain of certificates (`x5c`) that leads to one
 * of them. That is what distribution's `rootcertbundle` means.
 *
 * @param now in ms since 1970
 */
export function certificateKeys(pem: string, now = () => Date.now()): FindKey {
  const bundle = pem
    .split(/(?=-----BEGIN CERTIFICATE-----)/)
    .filter((part) => part.includes('-----BEGIN CERTIFICATE-----'))
    .map((part) => new X509Certificate(part));
  if (bundle.length === 0) throw new Error('there is no certificate in it');
  const own = keysInTime(bundle, now);
  return async (header) => {
    const { alg, x5c } = header ?? {};
    if (x5c !== undefined && alg !== undefined) {
      const leaf = leafOf(x5c, bundle, now());
      if (leaf === undefined)
        throw new errors.JWKSNoMatchingKey('the chain of certificates leads to none that is known');
      return await keyOf(leaf, alg);
    }
    // The names of keys are made in many ways, and there are few.
    const { kid: _, ...unnamed } = header ?? {};
    const find = await own();
    return await find(unnamed);
  };
}

/** The keys of those certificates that are valid when it is asked. */
function keysInTime(bundle: readonly X509Certificate[], now: () => number): () => Promise<FindKey> {
  const keys = Promise.all(
    bundle.map(async (certificate) => ({ certificate, key: await exportJWK(certificate.publicKey) })),
  );
  // Whoever asks first sees it; nobody may before the process ends.
  keys.catch(() => undefined);
  let known: { readonly valid: readonly JWK[]; readonly find: FindKey } | undefined;
  return async () => {
    const valid = (await keys).filter(({ certificate }) => isInTime(certificate, now())).map(({ key }) => key);
    const isSame = known?.valid.length === valid.length && valid.every((key) => known?.valid.includes(key));
    if (known === undefined || !isSame) known = { valid, find: createLocalJWKSet({ keys: [...valid] }) };
    return known.find;
  };
}

async function keyOf(leaf: X509Certificate, alg: string): ReturnType<typeof importX509> {
  try {
    return await importX509(leaf.toString(), alg);
  } catch (error) {
    // The certificate may be anybody's that this issuer knows: what a client says of it is no failure of ours.
    throw new errors.JWKSNoMatchingKey(`the certificate has no key for ${alg}`, { cause: error });
  }
}

/** The certificate that a token is signed with, where it is valid now and its chain leads to a known one. */
function leafOf(x5c: unknown, bundle: readonly X509Certificate[], now: number): X509Certificate | undefined {
  if (!Array.isArray(x5c) || x5c.length === 0 || x5c.length > longestChain) return undefined;
  const chain = x5c.map(certificateOf);
  let below: X509Certificate | undefined;
  for (const certificate of chain) {
    if (certificate === undefined || !isInTime(certificate, now)) return undefined;
    if (below !== undefined && !isIssuedBy(below, certificate)) return undefined;
    const known = bundle.find((one) => one.raw.equals(certificate.raw) || isIssuedBy(certificate, one));
    if (known !== undefined) return isInTime(known, now) ? chain[0] : undefined;
    below = certificate;
  }
  return undefined;
}

function isIssuedBy(certificate: X509Certificate, by: X509Certificate): boolean {
  return by.ca && certificate.checkIssued(by) && certificate.verify(by.publicKey);
}

function isInTime({ validFromDate, validToDate }: X509Certificate, now: number): boolean {
  return validFromDate.getTime() <= now && now <= validToDate.getTime();
}

function certificateOf(encoded: unknown): X509Certificate | undefined {
  if (typeof encoded !== 'string') return undefined;
  try {
    return new X509Certificate(Buffer.from(encoded, 'base64'));
  } catch {
    return undefined;
  }
}
