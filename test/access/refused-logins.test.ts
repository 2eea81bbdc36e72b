import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import { LocalIssuer } from './local-issuer.ts';
import { basic, bearer, TokenRegistry } from './token-registry.ts';

interface RefusedLogin {
  readonly reason: string;
  readonly address: string;
  readonly request_id: string;
  readonly result: string;
}

/** The refused logins of a registry, which is stopped so that all are written. */
async function refusedIn(registry: TokenRegistry): Promise<readonly RefusedLogin[]> {
  await registry.stop();
  return registry.tables.rows<RefusedLogin>(
    "select reason, address, request_id, result from event where kind = 'login.refused' order by id",
  );
}

async function scene() {
  const registry = new TokenRegistry();
  const issuer = await LocalIssuer.start(registry.clock);
  await registry.resume({
    users: { alice: 'x' },
    yaml: `
issuers: [{ name: ci, kind: workload, issuer: "${issuer.url}", audience: wherry }]
access: [{ who: authenticated, repositories: "**", actions: [pull, push] }]
`,
  });
  return {
    registry,
    issuer,
    async [Symbol.asyncDispose]() {
      await registry[Symbol.asyncDispose]();
      await issuer[Symbol.asyncDispose]();
    },
  };
}

test('whatever is refused that was to let somebody in is in the event log: who, from where, in which request, and why', async () => {
  await using stage = await scene();
  const { registry, issuer } = stage;
  const asked: Response[] = [];
  const send = async (authorization: string): Promise<void> => {
    asked.push(await registry.sendAs(authorization, '/v2/app/tags/list'));
  };
  const own = await registry.token(basic('alice', 'x'), [], { offline_token: 'true' });
  const foreign = await issuer.token({ sub: 'job 7', aud: 'another' });
  await send('Bearer guess');
  await send(bearer({ token: `${own.token.slice(0, -6)}AAAAAA` }));
  await send(bearer({ token: foreign }));
  await send(basic('oidc', foreign));
  await send('Digest x');
  const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
  const jwt = 'urn:ietf:params:oauth:token-type:jwt';
  const forged = await new SignJWT({ sub: 'eve', aud: 'wherry' })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuer('https://evil.example.com')
    .sign(new Uint8Array(32));
  asked.push(await registry.post({ grant_type: exchange, subject_token: forged, subject_token_type: jwt }));
  asked.push(await registry.post({ grant_type: 'refresh_token', refresh_token: 'wherry_refresh_guess' }));
  await registry.setUsers({ alice: 'y' });
  asked.push(await registry.post({ grant_type: 'refresh_token', refresh_token: own.refresh_token ?? '' }));
  await send(bearer(own));
  expect(asked.map(({ status }) => status)).toEqual(asked.map(() => 401));

  const refused = await refusedIn(registry);
  expect(refused.map(({ reason }) => reason.replaceAll(issuer.url, 'ISSUER'))).toEqual(
    [
      'with a token: it is of nobody who is believed here',
      'with a token that names "wherry alice": ERR_JWS_SIGNATURE_VERIFICATION_FAILED: signature verification failed',
      'with a token that names "ISSUER job 7": ci: ERR_JWT_CLAIM_VALIDATION_FAILED: unexpected "aud" claim value',
      'as "oidc": ci: ERR_JWT_CLAIM_VALIDATION_FAILED: unexpected "aud" claim value',
      'with a header Authorization: it makes no sense',
      'with a token: it is of nobody who is believed here',
      'with a refresh token: it is unknown or over',
      'with a refresh token that names "user:alice": whoever it was issued to has gone, or has another secret',
      'with a token that names "user:alice": whoever the token was issued to is not known any more, or has another secret',
    ].filter((_, index) => index !== 5),
  );
  const ids = new Set(asked.map((answer) => answer.headers.get('x-request-id')));
  for (const { address, request_id: requestId, result } of refused) {
    expect([address, result, ids.has(requestId)]).toEqual(['127.0.0.1', 'refused', true]);
  }
  const written = JSON.stringify(refused) + registry.logged.join('');
  for (const secret of [own.token, own.refresh_token ?? '', foreign, forged, forged.split('.')[2] ?? '', 'guess']) {
    expect(written).not.toContain(secret);
  }
});

test('whoever makes tokens up cannot fill the event log, whatever names they put into them', async () => {
  await using stage = await scene();
  const { registry, issuer } = stage;
  for (let number = 0; number < 100; number += 1) {
    await registry.statusFor(bearer({ token: await issuer.token({ sub: `job ${number}`, aud: 'another' }) }), '/v2/');
  }
  // They guess nothing, and keep nobody waiting who knows a password.
  expect(await registry.statusFor(basic('alice', 'x'), '/v2/')).toBe(200);
  expect(await refusedIn(registry)).toHaveLength(1);
});

test('whatever stands in the header or the body of a token, it lets nobody in and nothing fails', async () => {
  await using stage = await scene();
  const { registry, issuer } = stage;
  const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const genuine = [
    (await registry.token(basic('alice', 'x'), [])).token,
    await issuer.token({ sub: 'job', aud: 'wherry' }),
  ];
  const canary = 'c4n4ry';
  const value = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom(canary, [canary], { [canary]: canary }, null, '', 'none', 'HS256'),
  );
  const header = fc.dictionary(
    fc.constantFrom('alg', 'kid', 'typ', 'crit', 'jwk', 'jku', 'x5c', 'x5u', 'x5t', 'b64', 'enc', canary),
    value,
    { minKeys: 1 },
  );
  const body = fc.dictionary(fc.constantFrom('aud', 'exp', 'nbf', 'access', 'holder', '__proto__'), value);
  const authorization = (token: string) => fc.constantFrom(bearer({ token }), basic('oidc', token));
  const attempt = fc.tuple(fc.constantFrom(...genuine), header, body).chain(([token, otherHeader, otherBody]) => {
    const [head = '', payload = '', signature = ''] = token.split('.');
    const changed = [
      encoded({ ...decodeProtectedHeader(token), ...otherHeader, [canary]: 1 }),
      encoded({ ...decodeJwt(token), ...otherBody, [canary]: 1 }),
    ] as const;
    return fc
      .constantFrom(
        `${changed[0]}.${payload}.${signature}`,
        `${head}.${changed[1]}.${signature}`,
        `${changed[0]}.${changed[1]}.`,
      )
      .chain(authorization);
  });
  await fc.assert(
    fc.asyncProperty(attempt, async (given) => {
      // Many wrong ones as a password keep those waiting who send more.
      expect([401, 429]).toContain(await registry.statusFor(given, '/v2/'));
    }),
    { numRuns: 300 },
  );
  expect(registry.logged.filter((line) => line.includes(canary))).toEqual([]);
});
