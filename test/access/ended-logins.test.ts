import { expect, test } from 'bun:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { LocalIssuer } from './local-issuer.ts';
import { basic, bearer, TokenRegistry, tokenOf } from './token-registry.ts';

const rules = 'access: [{ who: { users: ["*", "corp:*"] }, repositories: "**", actions: [pull, push] }]';

/** A registry with users and an issuer of people, of whom one has logged in. */
async function scene() {
  const registry = new TokenRegistry();
  const issuer = await LocalIssuer.start(registry.clock);
  const issuers = `issuers: [{ name: corp, kind: user, issuer: "${issuer.url}", audience: wherry, session: 8h }]`;
  await registry.resume({ users: { alice: 'x', bob: 'y' }, yaml: `${issuers}\n${rules}` });
  const refreshTokenOf = async (authorization: string): Promise<string> =>
    (await registry.token(authorization, [], { offline_token: 'true' })).refresh_token ?? '';
  const person = basic('oidc', await issuer.token({ sub: 'carol', aud: 'wherry' }));
  return {
    registry,
    issuers,
    refreshTokenOf,
    tokens: {
      alice: await refreshTokenOf(basic('alice', 'x')),
      bob: await refreshTokenOf(basic('bob', 'y')),
      carol: await refreshTokenOf(person),
    },
    refresh: async (token: string): Promise<number> =>
      (await registry.post({ grant_type: 'refresh_token', refresh_token: token })).status,
    async [Symbol.asyncDispose]() {
      await registry[Symbol.asyncDispose]();
      await issuer[Symbol.asyncDispose]();
    },
  };
}

test('an operator ends the refresh tokens of one person, and of nobody else', async () => {
  await using stage = await scene();
  const { registry, tokens, refresh } = stage;
  const access = await tokenOf(await registry.post({ grant_type: 'refresh_token', refresh_token: tokens.carol }));
  const ended = await registry.admin('DELETE', '/logins?who=user:corp:carol');
  expect(await ended.json()).toEqual({ who: 'user:corp:carol', ended: 1 });
  expect([await refresh(tokens.carol), await refresh(tokens.alice)]).toEqual([401, 200]);
  // What was got by it lasts for its few minutes.
  expect(await registry.statusFor(bearer(access), '/v2/')).toBe(200);
  expect(await (await registry.admin('DELETE', '/logins?who=user:corp:carol')).json()).toMatchObject({ ended: 0 });
  for (const who of ['carol', 'anonymous', 'workload:x', 'user:', '']) {
    expect((await registry.admin('DELETE', `/logins?who=${who}`)).status).toBe(400);
  }
  const events = await (await registry.admin('GET', '/events?kind=login.ended')).text();
  expect(events).toContain('user:corp:carol: 1 refresh token');
});

test('a user who is taken from the password file and comes back has to log in anew', async () => {
  await using stage = await scene();
  const { registry, tokens, refresh } = stage;
  const file = `${registry.directory}/htpasswd`;
  const before = readFileSync(file, 'utf8');
  const become = (text: string): void => {
    writeFileSync(file, text);
    registry.clock.advance(1000);
  };
  // For a moment only, as where somebody writes the file in pieces.
  become('');
  expect(await registry.statusFor(basic('alice', 'x'), '/v2/')).toBe(401);
  become(before);
  expect(await refresh(tokens.alice)).toBe(200);
  become(before.replace(/^alice.*\n/, ''));
  expect(await registry.statusFor(basic('bob', 'y'), '/v2/')).toBe(200);
  registry.clock.advance(1000);
  expect(await registry.statusFor(basic('bob', 'y'), '/v2/')).toBe(200);
  become(before);
  expect([await refresh(tokens.alice), await refresh(tokens.bob), await refresh(tokens.carol)]).toEqual([
    401, 200, 200,
  ]);
});

test('people of an issuer that was taken from the configuration have to log in anew when it is back', async () => {
  await using stage = await scene();
  const { registry, issuers, tokens, refresh } = stage;
  await registry.stop();
  await registry.resume({ users: { alice: 'x', bob: 'y' }, yaml: rules });
  await registry.stop();
  await registry.resume({ yaml: `${issuers}\n${rules}` });
  expect(await refresh(tokens.carol)).toBe(401);
});

test('an issuer of the same name that is another one vouches for nobody whom the one of before has known', async () => {
  await using stage = await scene();
  const { registry, issuers, tokens, refresh } = stage;
  await registry.stop();
  await registry.resume({
    yaml: `${issuers.replace(/issuer: "[^"]*"/, 'issuer: "https://other.example.com"')}\n${rules}`,
  });
  expect(await refresh(tokens.carol)).toBe(401);
});
