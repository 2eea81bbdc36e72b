import { X509Certificate } from 'node:crypto';
import { expect, test } from 'bun:test';
import { importPKCS8, jwtVerify, SignJWT } from 'jose';
import { pairOf } from '../tls/certificates/certificates.ts';
import { certificateKeys } from '../../src/credentials/issuers/certificate-keys.ts';

const [first, second, expired] = await Promise.all([pairOf('first'), pairOf('second'), pairOf('expired')]);

async function signedBy(pair: { readonly key: string }, header: object = {}): Promise<string> {
  const key = await importPKCS8(pair.key, 'ES256');
  return await new SignJWT({}).setProtectedHeader({ alg: 'ES256', ...header }).sign(key);
}

async function isVerified(token: string, find: ReturnType<typeof certificateKeys>): Promise<boolean> {
  return await jwtVerify(token, find).then(
    () => true,
    () => false,
  );
}

test('the key of a certificate signs tokens as long as the certificate is valid, with its chain or without', async () => {
  const { validFromDate, validToDate, raw } = new X509Certificate(first.cert);
  const [from, to] = [validFromDate.getTime(), validToDate.getTime()];
  let now = from;
  const find = certificateKeys(first.cert, () => now);
  const tokens = [await signedBy(first), await signedBy(first, { x5c: [raw.toString('base64')] })];
  for (const [time, isValid] of [
    [from - 1, false],
    [from, true],
    [to, true],
    [to + 1, false],
    [from, true],
  ] as const) {
    now = time;
    for (const token of tokens) expect([time, await isVerified(token, find)]).toEqual([time, isValid]);
  }
});

test('of several certificates those that are over sign nothing', async () => {
  const find = certificateKeys(expired.cert + first.cert);
  expect(await isVerified(await signedBy(expired), find)).toBe(false);
  expect(await isVerified(await signedBy(first), find)).toBe(true);
  expect(await isVerified(await signedBy(second), find)).toBe(false);
});
