import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { basic, bearer, TokenRegistry, type Guarding, tokenOf } from './token-registry.ts';
import { minute } from './token-parts.ts';

const alice = basic('alice', 'correct horse');

const guarding: Guarding = {
  users: { alice: 'correct horse', bob: 'battery staple' },
  yaml: `
access:
  - { who: { users: alice }, repositories: team/**, actions: [pull, push, delete] }
  - { who: { users: [alice, bob] }, repositories: shared/**, actions: pull }
  - { who: { robots: ci }, repositories: team/**, actions: [pull, push] }
  - { who: anonymous, repositories: public/**, actions: pull }
`,
};

describe('a client without credentials', () => {
  test('is told where to get a token, and for what', async () => {
    await using registry = await TokenRegistry.start(guarding);
    const told = async (path: string, method = 'GET') =>
      (await registry.send(path, { method })).headers.get('www-authenticate');
    const realm = `Bearer realm="${registry.origin}/token",service="wherry"`;
    expect(await told('/v2/')).toBe(realm);
    expect(await told('/v2/team/app/manifests/1')).toBe(`${realm},scope="repository:team/app:pull"`);
    expect(await told('/v2/team/app/blobs/uploads/', 'POST')).toBe(`${realm},scope="repository:team/app:pull,push"`);
    expect(await told('/v2/team/app/manifests/1', 'DELETE')).toBe(`${realm},scope="repository:team/app:delete"`);
  });

  test('is told the address that it sees, behind a proxy that is trusted', async () => {
    await using registry = await TokenRegistry.start({
      ...guarding,
      yaml: `${guarding.yaml}\nhttp: { trustedProxies: 127.0.0.1 }`,
    });
    const headers = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'registry.example.com' };
    const answer = await registry.send('/v2/', { headers });
    expect(answer.headers.get('www-authenticate')).toContain('realm="https://registry.example.com/token"');
  });

  test('is told no address that a proxy says which nobody trusts', async () => {
    await using registry = await TokenRegistry.start(guarding);
    const answer = await registry.send('/v2/', { headers: { 'x-forwarded-host': 'evil.example.com' } });
    expect(answer.headers.get('www-authenticate')).not.toContain('evil');
  });

  test('is sent where the configuration says, if it says so', async () => {
    await using registry = await TokenRegistry.start({
      ...guarding,
      yaml: `${guarding.yaml}\nauth: { tokens: { realm: "https://r.example.com/token", service: r.example.com } }`,
    });
    const answer = await registry.send('/v2/');
    expect(answer.headers.get('www-authenticate')).toBe(
      'Bearer realm="https://r.example.com/token",service="r.example.com"',
    );
  });

  test('is asked for a password where the registry gives no tokens, and finds nothing at /token', async () => {
    await using registry = await TokenRegistry.start({
      ...guarding,
      yaml: `${guarding.yaml}\nauth: { tokens: { serve: "off" } }`,
    });
    expect((await registry.send('/v2/')).headers.get('www-authenticate')).toStartWith('Basic ');
    expect(await registry.statusFor(alice, '/token')).toBe(404);
    expect(await registry.pushStatus(alice, 'team/app')).toBe(202);
  });

  test('gets a token for what is open to everybody, and for nothing else', async () => {
    await using registry = await TokenRegistry.start(guarding);
    const token = await registry.token(undefined, ['repository:public/a:pull,push', 'repository:team/app:pull'], {
      offline_token: 'true',
    });
    expect(token.scope).toBe('repository:public/a:pull');
    expect(token.refresh_token).toBeUndefined();
    expect(await registry.statusFor(bearer(token), '/v2/')).toBe(200);
    expect(await registry.statusFor(bearer(token), '/v2/public/a/tags/list')).toBe(404);
    expect(await registry.statusFor(bearer(token), '/v2/team/app/tags/list')).toBe(401);
  });
});

describe('a token', () => {
  test('is for what was asked for and is allowed, and lets nobody do more', async () => {
    await using registry = await TokenRegistry.start(guarding);
    const token = await registry.token(alice, [
      'repository:team/app:pull,push',
      'repository:shared/x:pull,push',
      'repository:other:pull',
    ]);
    expect(token.scope).toBe('repository:team/app:pull,push repository:shared/x:pull');
    expect(token.access_token).toBe(token.token);
    expect(await registry.pushStatus(bearer(token), 'team/app')).toBe(202);
    expect(await registry.pushStatus(bearer(token), 'shared/x')).toBe(403);
    expect(await registry.statusFor(bearer(token), '/v2/team/app/manifests/1', 'DELETE')).toBe(401);
    expect(await registry.statusFor(bearer(token), '/v2/other/tags/list')).toBe(403);
  });

  test('for too little is answered with what to ask for, where that would help', async () => {
    await using registry = await TokenRegistry.start(guarding);
    const token = await registry.token(alice, ['repository:team/app:pull,push']);
    const answer = await registry.sendAs(bearer(token), '/v2/team/other/blobs/uploads/', 'POST');
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe(
      `Bearer realm="${registry.origin}/token",service="wherry",scope="repository:team/other:pull,push",error="insufficient_scope"`,
    );
  });

  test('for the target of a mount only is answered with the source beside it, where the client may pull from that', async () => {
    await using registry = await TokenRegistry.start(guarding);
    const token = await registry.token(alice, ['repository:team/app:pull,push']);
    const mount = (from: string) => `/v2/team/app/blobs/uploads/?mount=sha256:${'0'.repeat(64)}&from=${from}`;
    const answer = await registry.sendAs(bearer(token), mount('shared/x'), 'POST');
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe(
      `Bearer realm="${registry.origin}/token",service="wherry",scope="repository:team/app:pull,push repository:shared/x:pull",error="insufficient_scope"`,
    );
    // A token that says so would not help: as where there is no such blob.
    expect((await registry.sendAs(bearer(token), mount('other/x'), 'POST')).status).toBe(202);
    const wider = await registry.token(alice, ['repository:team/app:pull,push', 'repository:shared/x:pull']);
    expect((await registry.sendAs(bearer(wider), mount('shared/x'), 'POST')).status).toBe(202);
  });

  test('that is over is answered so that the client gets another', async () => {
    await using registry = await TokenRegistry.start(guarding);
    const token = await registry.token(alice, ['repository:team/app:push']);
    expect(token.expires_in).toBe(300);
    registry.clock.advance(5 * minute);
    const answer = await registry.sendAs(bearer(token), '/v2/team/app/blobs/uploads/', 'POST');
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toContain('error="invalid_token"');
  });

  test('of a user is worth nothing once the user is gone, or has another password', async () => {
    await using registry = await TokenRegistry.start(guarding);
    const users = { alice: 'correct horse', bob: 'battery staple' };
    const ofAlice = await registry.token(alice, ['repository:shared/x:pull'], { offline_token: 'true' });
    const ofBob = await registry.token(basic('bob', users.bob), ['repository:shared/x:pull'], {
      offline_token: 'true',
    });
    await registry.setUsers({ alice: 'another one' });
    for (const token of [ofAlice, ofBob]) {
      expect(await registry.statusFor(bearer(token), '/v2/shared/x/tags/list')).toBe(401);
      const form = { grant_type: 'refresh_token', service: 'wherry', refresh_token: token.refresh_token ?? '' };
      expect((await registry.post(form)).status).toBe(401);
    }
  });

  test('lets its holder do no more than the rules allow by now', async () => {
    await using registry = await TokenRegistry.start(guarding);
    const token = await registry.token(alice, ['repository:team/app:push,pull']);
    await registry.stop();
    await registry.resume({
      yaml: `${guarding.yaml.replace('[pull, push, delete]', '[pull]')}\nauth: { htpasswd: ${registry.directory}/htpasswd }`,
    });
    expect(await registry.pushStatus(bearer(token), 'team/app')).toBe(403);
    expect(await registry.statusFor(bearer(token), '/v2/team/app/tags/list')).toBe(404);
  });

  test('of an administrator says that a name and a password are needed to administer', async () => {
    const yaml = "access: [{ who: { users: alice }, repositories: '**', actions: all }]";
    await using registry = await TokenRegistry.start({ ...guarding, yaml });
    const token = await registry.token(alice, ['repository:team/app:pull']);
    for (const path of ['/admin/v1/robots', '/metrics']) {
      const answer = await registry.sendAs(bearer(token), path);
      expect(answer.status).toBe(403);
      expect(await answer.text()).toContain('ask with a name and a password');
    }
  });

  test('cannot be used to get another, nor to administer', async () => {
    await using registry = await TokenRegistry.start(guarding);
    const token = await registry.token(alice, ['repository:team/app:pull']);
    expect(await registry.statusFor(bearer(token), '/token?scope=repository:team/app:push')).toBe(401);
    expect(await registry.statusFor(bearer(token), '/admin/v1/robots')).toBe(403);
    const exchanged = await registry.post({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: token.token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    });
    expect(exchanged.status).toBe(401);
  });
});

test('no token lets anybody do what was not asked for or what no rule allows', async () => {
  await using registry = await TokenRegistry.start(guarding);
  const repos = ['team/app', 'shared/x', 'public/a', 'other'] as const;
  const attempts = [
    { action: 'pull', method: 'GET', path: (repo: string) => `/v2/${repo}/tags/list` },
    { action: 'push', method: 'POST', path: (repo: string) => `/v2/${repo}/blobs/uploads/` },
    { action: 'delete', method: 'DELETE', path: (repo: string) => `/v2/${repo}/manifests/1` },
  ] as const;
  const allowed: Readonly<Record<string, readonly string[]>> = {
    'alice team/app': ['pull', 'push', 'delete'],
    'alice shared/x': ['pull'],
    'bob shared/x': ['pull'],
    'alice public/a': ['pull'],
    'bob public/a': ['pull'],
    'nobody public/a': ['pull'],
  };
  const people = { alice, bob: basic('bob', 'battery staple'), nobody: undefined };
  const scope = fc.record({
    repo: fc.constantFrom(...repos),
    actions: fc.uniqueArray(fc.constantFrom('pull', 'push', 'delete', '*'), { minLength: 1 }),
  });
  const person = fc.constantFrom('alice' as const, 'bob' as const, 'nobody' as const);
  await fc.assert(
    fc.asyncProperty(person, fc.array(scope, { maxLength: 3 }), async (who, scopes) => {
      const texts = scopes.map(({ repo, actions }) => `repository:${repo}:${actions.join(',')}`);
      const token = await registry.token(people[who], texts);
      for (const repo of repos) {
        for (const { action, method, path } of attempts) {
          const isAsked = scopes.some(
            (one) => one.repo === repo && (one.actions.includes(action) || one.actions.includes('*')),
          );
          const isAllowed = allowed[`${who} ${repo}`]?.includes(action) ?? false;
          const status = await registry.statusFor(bearer(token), path(repo), method);
          expect([401, 403].includes(status)).toBe(!(isAsked && isAllowed));
        }
      }
    }),
    { numRuns: 40 },
  );
}, 30_000);

describe('the list of repositories', () => {
  const listed = async (registry: TokenRegistry, authorization: string): Promise<unknown> =>
    await (await registry.sendAs(authorization, '/v2/_catalog')).json();

  test('takes a token for it, and shows all that its holder may pull, whatever else the token is for', async () => {
    await using registry = await TokenRegistry.start(guarding);
    for (const repo of ['team/app', 'team/other']) {
      const manifest = await registry.send(`/v2/${repo}/manifests/1`, {
        method: 'PUT',
        headers: { authorization: alice, 'content-type': 'application/vnd.oci.image.index.v1+json' },
        body: JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [] }),
      });
      expect(manifest.status).toBe(201);
    }
    const asked = 'registry:catalog:*';
    const token = await registry.token(alice, [asked, 'repository:team/app:pull']);
    expect(token.scope).toContain(asked);
    expect(await listed(registry, bearer(token))).toEqual({ repositories: ['team/app', 'team/other'] });
    const ofBob = await registry.token(basic('bob', 'battery staple'), [asked]);
    expect(await listed(registry, bearer(ofBob))).toEqual({ repositories: [] });
    const forElse = await registry.token(alice, ['repository:team/app:pull']);
    const answer = await registry.sendAs(bearer(forElse), '/v2/_catalog');
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toEndWith(`scope="${asked}",error="insufficient_scope"`);
  });
});

describe('a form', () => {
  test('with a name and a password gets a token, and a refresh token where it asks for one', async () => {
    await using registry = await TokenRegistry.start(guarding);
    const form = {
      grant_type: 'password',
      service: 'wherry',
      client_id: 'test',
      username: 'alice',
      password: 'correct horse',
    };
    const token = await tokenOf(
      await registry.post({ ...form, scope: 'repository:team/app:push repository:shared/x:pull' }),
    );
    expect(token.scope).toBe('repository:team/app:push repository:shared/x:pull');
    expect(token.refresh_token).toBeUndefined();
    expect((await tokenOf(await registry.post({ ...form, access_type: 'offline' }))).refresh_token).toStartWith(
      'wherry_refresh_',
    );
    const refused = await registry.post({ ...form, password: 'wrong' });
    expect(refused.status).toBe(401);
    expect(await refused.json()).toMatchObject({ error: 'invalid_grant', errors: [{ code: 'UNAUTHORIZED' }] });
  });

  test('with a refresh token gets tokens again and again, the same one back, until it is over', async () => {
    await using registry = await TokenRegistry.start(guarding);
    const { refresh_token: refresh = '' } = await registry.token(alice, [], { offline_token: 'true' });
    const form = { grant_type: 'refresh_token', service: 'wherry', client_id: 'test', refresh_token: refresh };
    for (const days of [0, 80]) {
      registry.clock.advance(days * 24 * 60 * minute);
      const token = await tokenOf(await registry.post({ ...form, scope: 'repository:team/app:push' }));
      expect(token.refresh_token).toBe(refresh);
      expect(await registry.pushStatus(bearer(token), 'team/app')).toBe(202);
    }
    registry.clock.advance(10 * 24 * 60 * minute);
    expect((await registry.post(form)).status).toBe(401);
    expect((await registry.post({ ...form, refresh_token: 'wherry_refresh_x' })).status).toBe(401);
  });

  test('with one of more than fifty refresh tokens of an account gets nothing, if it was not used for longest', async () => {
    await using registry = await TokenRegistry.start(guarding);
    const refreshTokens: string[] = [];
    for (let count = 0; count < 51; count += 1) {
      registry.clock.advance(1);
      refreshTokens.push((await registry.token(alice, [], { offline_token: 'true' })).refresh_token ?? '');
    }
    const statuses = await Promise.all(
      refreshTokens.map(
        async (token) => (await registry.post({ grant_type: 'refresh_token', refresh_token: token })).status,
      ),
    );
    expect(statuses).toEqual([401, ...Array<number>(50).fill(200)]);
  });

  test.each([
    [{}, 'invalid_request'],
    [{ grant_type: 'client_credentials' }, 'unsupported_grant_type'],
    [{ grant_type: 'refresh_token' }, 'invalid_request'],
    [{ grant_type: 'password', service: 'another' }, 'invalid_target'],
    [{ grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token: 'x' }, 'invalid_request'],
  ])('that makes no sense (%p) is refused with %p and what to do', async (form, error) => {
    await using registry = await TokenRegistry.start(guarding);
    const answer = await registry.post(form);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error, errors: [{ code: 'UNSUPPORTED' }] });
  });

  test('that is none, or too large, is refused', async () => {
    await using registry = await TokenRegistry.start(guarding);
    expect((await registry.send('/token', { method: 'POST', body: '{}' })).status).toBe(400);
    expect((await registry.post({ grant_type: 'password', username: 'x'.repeat(70_000) })).status).toBe(400);
    expect((await registry.send('/token', { method: 'PUT' })).status).toBe(405);
    const scopes = Array.from({ length: 101 }, () => 'scope=repository:a:pull').join('&');
    expect((await registry.send(`/token?${scopes}`)).status).toBe(400);
  });
});

describe('a robot', () => {
  test('comes with its secret, and with tokens that it got for it, until it is revoked', async () => {
    await using registry = await TokenRegistry.start(guarding);
    const secret = await registry.robot('ci');
    const ci = basic('robot+ci', secret);
    const token = await registry.token(ci, ['repository:team/app:push,pull'], { offline_token: 'true' });
    expect(await registry.pushStatus(ci, 'team/app')).toBe(202);
    expect(await registry.pushStatus(bearer(token), 'team/app')).toBe(202);
    expect((await registry.admin('DELETE', '/robots?name=ci')).status).toBe(200);
    expect(await registry.pushStatus(ci, 'team/app')).toBe(401);
    expect(await registry.pushStatus(bearer(token), 'team/app')).toBe(401);
    const form = { grant_type: 'refresh_token', service: 'wherry', refresh_token: token.refresh_token ?? '' };
    expect((await registry.post(form)).status).toBe(401);
  });

  test('that got another secret is out with the one before', async () => {
    await using registry = await TokenRegistry.start(guarding);
    const before = basic('robot+ci', await registry.robot('ci'));
    const token = await registry.token(before, ['repository:team/app:push']);
    const answer: unknown = await (await registry.admin('POST', '/robots/rotate', { name: 'ci' })).json();
    const secret = JSON.stringify(answer).match(/wherry_robot_[\w-]+/)?.[0] ?? '';
    expect(await registry.pushStatus(before, 'team/app')).toBe(401);
    expect(await registry.pushStatus(bearer(token), 'team/app')).toBe(401);
    expect(await registry.pushStatus(basic('robot+ci', secret), 'team/app')).toBe(202);
  });

  test('is out when its time is over', async () => {
    await using registry = await TokenRegistry.start(guarding);
    const ci = basic('robot+ci', await registry.robot('ci', '2m'));
    const token = await registry.token(ci, ['repository:team/app:push']);
    registry.clock.advance(2 * minute - 1);
    expect(await registry.pushStatus(ci, 'team/app')).toBe(202);
    registry.clock.advance(1);
    expect(await registry.pushStatus(ci, 'team/app')).toBe(401);
    expect(await registry.pushStatus(bearer(token), 'team/app')).toBe(401);
  });

  test('does not come with the secret of another, nor is one that nobody made', async () => {
    await using registry = await TokenRegistry.start(guarding);
    await registry.robot('ci');
    const other = await registry.robot('other');
    for (const name of ['robot+ci', 'robot+none', 'robot+', 'robot+CI', 'ci']) {
      expect(await registry.statusFor(basic(name, other), '/v2/')).toBe(401);
    }
  });

  test('is not kept waiting by others who try wrong secrets for it', async () => {
    await using registry = await TokenRegistry.start(guarding);
    const ci = basic('robot+ci', await registry.robot('ci'));
    for (let count = 0; count < 30; count += 1) await registry.statusFor(basic('robot+ci', 'wrong'), '/v2/');
    expect(await registry.statusFor(ci, '/v2/')).toBe(200);
  });

  test('is made once under a name, unless that is free again', async () => {
    await using registry = await TokenRegistry.start(guarding);
    await registry.robot('ci');
    expect((await registry.admin('POST', '/robots', { name: 'ci' })).status).toBe(409);
    await registry.admin('DELETE', '/robots?name=ci');
    expect((await registry.admin('POST', '/robots/rotate', { name: 'ci' })).status).toBe(409);
    expect((await registry.admin('POST', '/robots', { name: 'ci' })).status).toBe(200);
    expect((await registry.admin('DELETE', '/robots?name=none')).status).toBe(404);
  });
});
