import { describe, expect, test } from 'bun:test';
import { base64url, decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { day, minute, TokenParts } from './token-parts.ts';
import type { TokenContent } from '../../src/credentials/tokens/registry-tokens.ts';

const content: TokenContent = {
  holder: { kind: 'robot', name: 'ci', groups: [], claims: {}, credential: 'c' },
  access: [{ type: 'repository', name: 'team/app', actions: ['pull'] }],
};

describe('a token', () => {
  test('says what the token protocol has in it, and is signed', async () => {
    await using parts = await TokenParts.open();
    const { token, expiresInSeconds, issuedAt } = await parts.tokens().issue(content);
    const now = Math.floor(parts.clock.now() / 1000);
    expect(decodeProtectedHeader(token)).toMatchObject({
      alg: 'ES256',
      typ: 'JWT',
      kid: (await parts.keys().signer()).kid,
    });
    expect(decodeJwt(token)).toMatchObject({
      iss: 'wherry',
      aud: 'wherry',
      sub: 'robot+ci',
      iat: now,
      nbf: now - 10,
      exp: now + 300,
      access: content.access,
    });
    expect({ expiresInSeconds, issuedAt }).toEqual({ expiresInSeconds: 300, issuedAt: parts.clock.now() });
  });

  test('is valid for as long as it says, in every process of the registry', async () => {
    await using parts = await TokenParts.open();
    const tokens = parts.tokens();
    const { token } = await tokens.issue(content);
    for (const checker of [tokens, tokens, parts.tokens()]) {
      expect(await checker.check(token)).toEqual({ valid: true, ...content });
    }
    parts.clock.advance(5 * minute - 1);
    expect((await tokens.check(token)).valid).toBe(true);
    parts.clock.advance(1);
    // Whether it was checked before or not.
    expect((await tokens.check(token)).valid).toBe(false);
    expect((await parts.tokens().check(token)).valid).toBe(false);
  });

  test('outlasts the key that has signed it being replaced', async () => {
    await using parts = await TokenParts.open();
    const tokens = parts.tokens({ rotationMs: day });
    await tokens.issue(content);
    parts.clock.advance(day - minute);
    const { token } = await tokens.issue(content);
    parts.clock.advance(minute);
    const { token: next } = await tokens.issue(content);
    expect(decodeProtectedHeader(next).kid).not.toBe(decodeProtectedHeader(token).kid);
    expect((await parts.tokens().check(token)).valid).toBe(true);
    expect((await parts.tokens().check(next)).valid).toBe(true);
  });

  test('of another service is worth nothing, though the same key has signed it', async () => {
    await using parts = await TokenParts.open();
    const { token } = await parts.tokens({ service: 'other' }).issue(content);
    expect((await parts.tokens().check(token)).valid).toBe(false);
  });

  test('from before its time is worth nothing', async () => {
    await using parts = await TokenParts.open();
    const { token } = await parts.tokens().issue(content);
    parts.clock.set(-minute);
    expect((await parts.tokens().check(token)).valid).toBe(false);
  });
});

describe('nobody is let in by a token', () => {
  test('of which one character was changed, whichever', async () => {
    await using parts = await TokenParts.open();
    const tokens = parts.tokens();
    const { token } = await tokens.issue(content);
    for (let at = 0; at < token.length - 1; at += 1) {
      const changed = `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`;
      expect((await tokens.check(changed)).valid).toBe(false);
    }
  });

  test('whose content was exchanged under its signature', async () => {
    await using parts = await TokenParts.open();
    const tokens = parts.tokens();
    const { token } = await tokens.issue(content);
    const [header, , signature] = token.split('.');
    const more = { ...decodeJwt(token), access: [{ type: 'repository', name: 'team/app', actions: ['*'] }] };
    const forged = `${header}.${base64url.encode(JSON.stringify(more))}.${signature}`;
    expect((await tokens.check(forged)).valid).toBe(false);
  });

  test('that is not signed at all', async () => {
    await using parts = await TokenParts.open();
    const tokens = parts.tokens();
    const { token } = await tokens.issue(content);
    for (const alg of ['none', 'None', 'NONE', '']) {
      const header = base64url.encode(JSON.stringify({ ...decodeProtectedHeader(token), alg }));
      expect((await tokens.check(`${header}.${token.split('.')[1]}.`)).valid).toBe(false);
    }
  });

  test('that takes the public key for a shared secret', async () => {
    await using parts = await TokenParts.open();
    const tokens = parts.tokens();
    const { token } = await tokens.issue(content);
    const { kid } = decodeProtectedHeader(token);
    const publicKey = await parts.keys().verifier(kid ?? '');
    if (publicKey === undefined) throw new Error('the key is not there');
    const secret = new TextEncoder().encode(JSON.stringify(await exportJWK(publicKey)));
    const forged = await new SignJWT(decodeJwt(token))
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT', kid: kid ?? '' })
      .sign(secret);
    expect((await tokens.check(forged)).valid).toBe(false);
  });

  test('that another key has signed, under the name of one that is known, an unknown one, or none', async () => {
    await using parts = await TokenParts.open();
    const tokens = parts.tokens();
    const { token } = await tokens.issue(content);
    const { privateKey } = await generateKeyPair('ES256');
    for (const kid of [decodeProtectedHeader(token).kid, 'unknown', undefined]) {
      const forged = await new SignJWT(decodeJwt(token))
        .setProtectedHeader({ alg: 'ES256', typ: 'JWT', ...(kid !== undefined && { kid }) })
        .sign(privateKey);
      expect((await tokens.check(forged)).valid).toBe(false);
    }
  });

  test.each(['', '.', '..', 'a.b.c', 'x'.repeat(20_000), 'eyJhbGciOiJFUzI1NiJ9.e30.x'])(
    'that is none: %p',
    async (text) => {
      await using parts = await TokenParts.open();
      expect((await parts.tokens().check(text)).valid).toBe(false);
    },
  );
});

test('no reason why a token is not valid has anything of the token in it', async () => {
  await using parts = await TokenParts.open();
  const { token } = await parts.tokens().issue(content);
  parts.clock.advance(day);
  const checked = await parts.tokens().check(token);
  expect(checked.valid ? 'valid' : checked.reason).toContain('exp');
  expect(JSON.stringify(checked)).not.toContain(token.slice(-20));
});
