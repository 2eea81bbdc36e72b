import { describe, expect, test } from 'bun:test';
import { base64url, decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { basic, bearer, TokenRegistry, tokenOf } from './token-registry.ts';
import { LocalIssuer } from './local-issuer.ts';
import { minute } from './token-parts.ts';

const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
const idToken = 'urn:ietf:params:oauth:token-type:id_token';

/** What a job of GitHub Actions says of itself, as far as rules are about it. */
const job = {
  sub: 'repo:octo/app:ref:refs/heads/main',
  aud: 'registry.example.com',
  repository: 'octo/app',
  ref: 'refs/heads/main',
};

interface Scene extends AsyncDisposable {
  readonly registry: TokenRegistry;
  readonly issuer: LocalIssuer;
}

/** A registry that believes an issuer on this machine, of jobs and of people. */
async function scene(more = ''): Promise<Scene> {
  const registry = new TokenRegistry();
  const issuer = await LocalIssuer.start(registry.clock);
  await registry.resume({
    yaml: `
issuers:
  - { name: ci, kind: workload, issuer: "${issuer.url}", audience: registry.example.com ${more} }
access:
  - { who: { claims: { iss: "${issuer.url}", repository: octo/app } }, repositories: octo/app, actions: [pull, push] }
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

async function exchanged(registry: TokenRegistry, token: string): Promise<Response> {
  return await registry.post({
    grant_type: exchange,
    service: 'wherry',
    subject_token: token,
    subject_token_type: idToken,
    scope: 'repository:octo/app:pull,push repository:octo/other:push',
    access_type: 'offline',
  });
}

describe("a job's token of an issuer", () => {
  test('is exchanged for one of the registry, for what its claims allow', async () => {
    await using stage = await scene();
    const { registry, issuer } = stage;
    const token = await tokenOf(await exchanged(registry, await issuer.token(job)));
    expect(token.scope).toBe('repository:octo/app:pull,push');
    expect(token.refresh_token).toBeUndefined();
    expect(decodeJwt(token.token)).toMatchObject({ iss: 'wherry', sub: `ci:${job.sub}` });
    expect(await registry.pushStatus(bearer(token), 'octo/app')).toBe(202);
    expect(await registry.pushStatus(bearer(token), 'octo/other')).toBe(403);
  });

  test('is a password too: for a token, and directly', async () => {
    await using stage = await scene();
    const { registry, issuer } = stage;
    const credentials = basic('oidc', await issuer.token(job));
    const token = await registry.token(credentials, ['repository:octo/app:push'], { offline_token: 'true' });
    expect(token.refresh_token).toBeUndefined();
    expect(await registry.pushStatus(bearer(token), 'octo/app')).toBe(202);
    expect(await registry.pushStatus(credentials, 'octo/app')).toBe(202);
    expect(await registry.pushStatus(credentials, 'octo/other')).toBe(403);
  });

  test('is asked about once, however often it comes', async () => {
    await using stage = await scene();
    const { registry, issuer } = stage;
    const credentials = basic('oidc', await issuer.token(job));
    await Promise.all(Array.from({ length: 10 }, async () => await registry.statusFor(credentials, '/v2/')));
    expect(issuer.asked).toBe(1);
  });

  test('of another repository gets in, and may nothing', async () => {
    await using stage = await scene();
    const { registry, issuer } = stage;
    const token = await tokenOf(await exchanged(registry, await issuer.token({ ...job, repository: 'evil/app' })));
    expect(token.scope).toBe('');
    expect(await registry.pushStatus(bearer(token), 'octo/app')).toBe(403);
  });

  test('is worth something with any algorithm that issuers sign with', async () => {
    await using stage = await scene();
    const { registry, issuer } = stage;
    for (const algorithm of ['ES256', 'PS256', 'EdDSA']) {
      // A key that comes later is not known before the registry asks again.
      const kid = await issuer.addKey(algorithm);
      await registry.stop();
      await registry.resume({
        yaml: `issuers: [{ name: ci, kind: workload, issuer: "${issuer.url}", audience: registry.example.com }]`,
      });
      expect((await exchanged(registry, await issuer.token(job, { kid }))).status).toBe(200);
    }
  });
});

describe('nobody is let in by a token', () => {
  test.each([
    ['for another audience', { aud: 'another.example.com' }],
    ['for no audience', { aud: undefined }],
    ['of an issuer that is not configured', { iss: 'http://127.0.0.1:1' }],
    ['of no issuer', { iss: undefined }],
    ['that is for nobody', { sub: undefined }],
    ['that never ends', { exp: undefined }],
    ['whose name is empty', { sub: '' }],
    ['whose name breaks lines', { sub: 'a\nb' }],
    ['that says more than fits into a header', { story: 'x'.repeat(5000) }],
  ])('%s', async (_, claims) => {
    await using stage = await scene();
    const { registry, issuer } = stage;
    const token = await issuer.token({ ...job, ...claims });
    expect((await exchanged(registry, token)).status).toBe(401);
    expect(await registry.statusFor(basic('oidc', token), '/v2/')).toBe(401);
  });

  test('that is over, or not yet valid, but for half a minute', async () => {
    await using stage = await scene();
    const { registry, issuer } = stage;
    const now = Math.floor(registry.clock.now() / 1000);
    const statusOf = async (claims: object) =>
      (await exchanged(registry, await issuer.token({ ...job, ...claims }))).status;
    expect(await statusOf({ exp: now - 20 })).toBe(200);
    expect(await statusOf({ exp: now - 40 })).toBe(401);
    expect(await statusOf({ nbf: now + 20 })).toBe(200);
    expect(await statusOf({ nbf: now + 40 })).toBe(401);
  });

  test('that is forged: unsigned, by a shared secret, by another key, or with other content', async () => {
    await using stage = await scene();
    const { registry, issuer } = stage;
    const genuine = await issuer.token(job);
    const [header = '', , signature = ''] = genuine.split('.');
    const { kid } = decodeProtectedHeader(genuine);
    const payload = decodeJwt(genuine);
    const unsigned = `${base64url.encode(JSON.stringify({ alg: 'none', kid }))}.${genuine.split('.')[1]}.`;
    const jwks = await (await fetch(`${issuer.url}/jwks`)).text();
    const shared = await new SignJWT(payload)
      .setProtectedHeader({ alg: 'HS256', kid: String(kid) })
      .sign(new TextEncoder().encode(jwks.padEnd(64, ' ')));
    const { privateKey, publicKey } = await generateKeyPair('RS256');
    const another = await new SignJWT(payload).setProtectedHeader({ alg: 'RS256', kid: String(kid) }).sign(privateKey);
    // A key that comes with the token is whoever's has made the token.
    const brought = await new SignJWT(payload)
      .setProtectedHeader({ alg: 'RS256', jwk: await exportJWK(publicKey) })
      .sign(privateKey);
    const changed = `${header}.${base64url.encode(JSON.stringify({ ...payload, repository: 'octo/app', sub: 'me' }))}.${signature}`;
    for (const token of [unsigned, shared, another, brought, changed]) {
      expect((await exchanged(registry, token)).status).toBe(401);
    }
    expect((await exchanged(registry, genuine)).status).toBe(200);
  });

  test('while the issuer cannot be asked for its keys: that is no fault of whoever comes', async () => {
    await using stage = await scene();
    const { registry, issuer } = stage;
    const token = await issuer.token(job);
    await issuer.stop();
    for (const answer of [
      await exchanged(registry, token),
      await registry.sendAs(basic('oidc', token), '/v2/octo/app/tags/list'),
    ]) {
      expect(answer.status).toBe(503);
      expect(answer.headers.get('retry-after')).toBe('5');
      expect(await answer.text()).toContain('the keys of the issuer ci cannot be had just now');
    }
  });

  test('once the issuer is not believed any more, though the registry itself has issued it', async () => {
    await using stage = await scene();
    const { registry, issuer } = stage;
    const token = await tokenOf(await exchanged(registry, await issuer.token(job)));
    await registry.stop();
    await registry.resume({ yaml: 'access: [{ who: authenticated, repositories: "**", actions: all }]' });
    expect(await registry.pushStatus(bearer(token), 'octo/app')).toBe(401);
  });
});

test('a person of an issuer has groups, and stays logged in for a session', async () => {
  const registry = new TokenRegistry();
  await using issuer = await LocalIssuer.start(registry.clock);
  await using _ = registry;
  await registry.resume({
    yaml: `
issuers:
  - { name: corp, kind: user, issuer: "${issuer.url}", audience: wherry, nameFrom: email, groupsFrom: realm.roles, session: 8h }
access:
  - { who: { groups: "corp:developers" }, repositories: app, actions: [pull, push] }
  - { who: { users: "corp:alice@example.com" }, repositories: alice/**, actions: [pull, push] }
`,
  });
  const claims = {
    sub: '7',
    aud: ['x', 'wherry'],
    email: 'alice@example.com',
    email_verified: true,
    realm: { roles: ['developers', 'x'] },
  };
  const token = await registry.token(
    basic('oidc', await issuer.token(claims)),
    ['repository:app:push', 'repository:alice/a:push'],
    { offline_token: 'true' },
  );
  expect(token.scope).toBe('repository:app:push repository:alice/a:push');
  const form = {
    grant_type: 'refresh_token',
    service: 'wherry',
    refresh_token: token.refresh_token ?? '',
    scope: 'repository:app:push',
  };
  registry.clock.advance(8 * 60 * minute - 1);
  const refreshed = await tokenOf(await registry.post(form));
  expect(await registry.pushStatus(bearer(refreshed), 'app')).toBe(202);
  registry.clock.advance(1);
  expect((await registry.post(form)).status).toBe(401);
});

test('an e-mail address is a name only where the issuer says that it is verified', async () => {
  const registry = new TokenRegistry();
  await using issuer = await LocalIssuer.start(registry.clock);
  await using _ = registry;
  await registry.resume({
    yaml: `
issuers:
  - { name: corp, kind: user, issuer: "${issuer.url}", audience: wherry, nameFrom: email }
  - { name: jobs, kind: workload, issuer: other, keys: "${issuer.url}/jwks", audience: wherry }
access:
  - { who: { users: "corp:alice@example.com" }, repositories: app, actions: [pull, push] }
  - { who: { claims: { iss: other, email: alice@example.com } }, repositories: jobs, actions: [pull, push] }
`,
  });
  const status = async (repo: string, claims: object): Promise<number> => {
    const token = await issuer.token({ sub: '7', aud: 'wherry', email: 'alice@example.com', ...claims });
    return await registry.pushStatus(basic('oidc', token), repo);
  };
  expect(await status('app', { email_verified: true })).toBe(202);
  expect(await status('app', { email_verified: 'true' })).toBe(202);
  for (const not of [false, undefined, 1, 'TRUE']) {
    expect([not, await status('app', { email_verified: not })]).toEqual([not, 401]);
  }
  expect(await status('jobs', { iss: 'other' })).toBe(202);
  expect(await status('jobs', { iss: 'other', email_verified: false })).toBe(403);
});

test('authenticated means whom an issuer vouches for only where its configuration says so', async () => {
  const registry = new TokenRegistry();
  await using issuer = await LocalIssuer.start(registry.clock);
  await using _ = registry;
  const yaml = (more: string): string => `
issuers:
  - { name: ci, kind: workload, issuer: "${issuer.url}", audience: registry.example.com${more} }
access:
  - { who: authenticated, repositories: "**", actions: [pull, push] }
`;
  const token = await issuer.token(job);
  await registry.resume({ yaml: yaml('') });
  expect(await registry.pushStatus(basic('oidc', token), 'octo/app')).toBe(403);
  const exchangedToken = await tokenOf(await exchanged(registry, token));
  expect(exchangedToken.scope).toBe('');
  expect(await registry.pushStatus(bearer(exchangedToken), 'octo/app')).toBe(403);
  await registry.stop();
  await registry.resume({ yaml: yaml(', authenticated: true') });
  expect(await registry.pushStatus(basic('oidc', token), 'octo/app')).toBe(202);
});

describe('a token service elsewhere', () => {
  /** A registry that sends its clients to it, and something that signs as it does. */
  async function outside() {
    const registry = new TokenRegistry();
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    const keys = join(registry.directory, 'keys.json');
    writeFileSync(keys, JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'one' }] }));
    await registry.resume({
      yaml: `
issuers:
  - { name: auth, kind: tokens, issuer: Example, realm: "https://auth.example.com/token", service: registry.example.com, keys: ${keys} }
access:
  - { who: { claims: { iss: Example } }, repositories: team/**, actions: [pull, push] }
  - { who: { users: "auth:bob" }, repositories: bob, actions: pull }
`,
    });
    const signed = async (claims: object, header: object = {}) => {
      const now = Math.floor(registry.clock.now() / 1000);
      const content = { iss: 'Example', aud: 'registry.example.com', sub: 'bob', exp: now + 300, ...claims };
      return bearer({
        token: await new SignJWT(content).setProtectedHeader({ alg: 'ES256', kid: 'one', ...header }).sign(privateKey),
      });
    };
    return { registry, signed, keys };
  }

  test('is where clients are sent, and the registry itself gives no tokens', async () => {
    const { registry, signed } = await outside();
    await using _ = registry;
    const answer = await registry.send('/v2/team/app/tags/list');
    expect(answer.headers.get('www-authenticate')).toBe(
      'Bearer realm="https://auth.example.com/token",service="registry.example.com",scope="repository:team/app:pull"',
    );
    expect(await registry.statusFor(await signed({}), '/token')).toBe(404);
  });

  test('lets in for what its tokens say, within what the rules allow', async () => {
    const { registry, signed } = await outside();
    await using _ = registry;
    const access = [
      { type: 'repository', name: 'team/app', actions: ['pull', 'push'] },
      { type: 'repository', name: 'other', actions: ['pull', 'push'] },
      { type: 'repository', name: 'bob', actions: ['push'] },
    ];
    const token = await signed({ access });
    expect(await registry.pushStatus(token, 'team/app')).toBe(202);
    expect(await registry.pushStatus(token, 'team/other')).toBe(401);
    expect(await registry.pushStatus(token, 'other')).toBe(403);
    expect(await registry.pushStatus(token, 'bob')).toBe(403);
    expect(await registry.statusFor(token, '/v2/bob/tags/list')).toBe(401);
    expect(await registry.statusFor(await signed({}), '/v2/')).toBe(200);
  });

  test('is not believed for another registry, nor without an end, nor as a password', async () => {
    const { registry, signed } = await outside();
    await using _ = registry;
    expect(await registry.statusFor(await signed({ aud: 'another.example.com' }), '/v2/')).toBe(401);
    expect(await registry.statusFor(await signed({ exp: undefined }), '/v2/')).toBe(401);
    expect(await registry.statusFor(await signed({}, { kid: 'two' }), '/v2/')).toBe(401);
    expect(await registry.statusFor(basic('oidc', (await signed({})).slice('Bearer '.length)), '/v2/')).toBe(401);
  });
});

describe('certificates of a token service', () => {
  /** What openssl makes: a certificate of a CA, one that it has issued, and one of nobody. */
  async function certificates(directory: string) {
    const run = async (...args: string[]) => {
      const child = Bun.spawn(['openssl', ...args], { cwd: directory, stdout: 'ignore', stderr: 'pipe' });
      if ((await child.exited) !== 0) throw new Error(await new Response(child.stderr).text());
    };
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    await run('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=ca', '-days', '2');
    await run('req', ...key, '-keyout', 'leaf.key', '-out', 'leaf.csr', '-subj', '/CN=leaf');
    await run(
      'x509',
      '-req',
      '-in',
      'leaf.csr',
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-out',
      'leaf.pem',
      '-days',
      '2',
    );
    await run('req', '-x509', ...key, '-keyout', 'evil.key', '-out', 'evil.pem', '-subj', '/CN=ca', '-days', '2');
    // Named after the CA, and signed by somebody who is called like it.
    await run('req', ...key, '-keyout', 'forged.key', '-out', 'forged.csr', '-subj', '/CN=leaf');
    const forged = ['-CA', 'evil.pem', '-CAkey', 'evil.key', '-CAcreateserial', '-out', 'forged.pem', '-days', '2'];
    await run('x509', '-req', '-in', 'forged.csr', ...forged);
  }

  test('are whose keys sign tokens, or issue the certificate that a token brings', async () => {
    const registry = new TokenRegistry();
    await using _ = registry;
    const at = (name: string) => join(registry.directory, name);
    await certificates(registry.directory);
    await registry.resume({
      yaml: `issuers: [{ name: auth, kind: tokens, issuer: Example, realm: "https://a.example.com/token", service: r, keys: ${at('ca.pem')} }]`,
    });
    const { importPKCS8 } = await import('jose');
    const chainOf = async (name: string) => [(await Bun.file(at(name)).text()).replaceAll(/-----[^-]+-----|\s/g, '')];
    const statusWith = async (keyFile: string, header: object) => {
      const key = await importPKCS8(await Bun.file(at(keyFile)).text(), 'ES256');
      const content = { iss: 'Example', aud: 'r', sub: 'bob', exp: Math.floor(registry.clock.now() / 1000) + 60 };
      const token = await new SignJWT(content).setProtectedHeader({ alg: 'ES256', ...header }).sign(key);
      return await registry.statusFor(bearer({ token }), '/v2/');
    };
    expect(await statusWith('ca.key', {})).toBe(200);
    expect(await statusWith('ca.key', { kid: 'ABCD:EFGH' })).toBe(200);
    expect(await statusWith('ca.key', { x5c: await chainOf('ca.pem') })).toBe(200);
    expect(await statusWith('leaf.key', { x5c: await chainOf('leaf.pem') })).toBe(200);
    expect(await statusWith('forged.key', { x5c: await chainOf('forged.pem') })).toBe(401);
    expect(await statusWith('leaf.key', {})).toBe(401);
    expect(await statusWith('evil.key', { x5c: await chainOf('evil.pem') })).toBe(401);
    expect(await statusWith('evil.key', { x5c: await chainOf('leaf.pem') })).toBe(401);
    expect(await statusWith('evil.key', { x5c: [...(await chainOf('evil.pem')), ...(await chainOf('ca.pem'))] })).toBe(
      401,
    );
    expect(await statusWith('evil.key', { x5c: 'junk' })).toBe(401);
    // A real chain with an algorithm that its key is not for.
    const header = Buffer.from(JSON.stringify({ alg: 'RS256', x5c: await chainOf('leaf.pem') })).toString('base64url');
    const content = Buffer.from(JSON.stringify({ iss: 'Example', aud: 'r' })).toString('base64url');
    expect(await registry.statusFor(bearer({ token: `${header}.${content}.c2lnbmF0dXJl` }), '/v2/')).toBe(401);
  });
});
