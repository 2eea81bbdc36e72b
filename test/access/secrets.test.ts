import { expect, test } from 'bun:test';
import { basic, bearer, TokenRegistry } from './token-registry.ts';
import { LocalIssuer } from './local-issuer.ts';

test('no secret that comes by is logged or kept, whether it lets somebody in or not', async () => {
  const registry = new TokenRegistry();
  await using issuer = await LocalIssuer.start(registry.clock);
  await using _ = registry;
  await registry.resume({
    users: { alice: 'pass-of-alice' },
    yaml: `
issuers: [{ name: ci, kind: workload, issuer: "${issuer.url}", audience: wherry }]
access: [{ who: authenticated, repositories: "**", actions: [pull, push] }]
`,
  });
  const robot = await registry.robot('ci');
  const rotated = await (await registry.admin('POST', '/robots/rotate', { name: 'ci' })).text();
  const secret = /wherry_robot_[\w-]+/.exec(rotated)?.[0] ?? '';
  const idToken = await issuer.token({ sub: 'job', aud: 'wherry' });
  const foreignToken = await issuer.token({ sub: 'job', aud: 'another' });
  const credentials = {
    password: basic('alice', 'pass-of-alice'),
    wrongPassword: basic('alice', 'wrong-pass-of-alice'),
    oldRobot: basic('robot+ci', robot),
    robot: basic('robot+ci', secret),
    idToken: basic('oidc', idToken),
    foreignToken: basic('oidc', foreignToken),
    nonsense: bearer({ token: 'nonsense-of-a-token' }),
  };
  const secrets = ['pass-of-alice', robot, secret, idToken, foreignToken, 'nonsense-of-a-token', 'refresh-nonsense'];
  const scopes = ['repository:app:pull,push'];
  for (const authorization of Object.values(credentials)) {
    await registry.pushStatus(authorization, 'app');
    await registry.statusFor(authorization, '/v2/app/manifests/1?secret=yes');
    await registry.statusFor(authorization, '/token?scope=repository:app:pull&offline_token=true');
  }
  for (const authorization of [credentials.password, credentials.robot]) {
    const issued = await registry.token(authorization, scopes, { offline_token: 'true' });
    expect(issued.refresh_token).toBeDefined();
    secrets.push(issued.token, issued.refresh_token ?? '');
    await registry.pushStatus(bearer(issued), 'app');
    await registry.pushStatus(bearer({ token: `${issued.token.slice(0, -4)}AAAA` }), 'app');
    for (const token of [issued.refresh_token ?? '', 'refresh-nonsense']) {
      await registry.post({ grant_type: 'refresh_token', refresh_token: token });
    }
  }
  await registry.post({ grant_type: 'password', username: 'alice', password: 'pass-of-alice' });
  await registry.post({ grant_type: 'password', username: 'alice', password: 'wrong-pass-of-alice' });
  for (const token of [idToken, foreignToken]) {
    await registry.post({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    });
  }
  const privateKeys = keysIn(registry);
  expect(privateKeys).toHaveLength(1);
  await issuer.stop();
  registry.clock.advance(3_600_000);
  await registry.pushStatus(credentials.idToken, 'app');
  await registry.stop();

  expect(registry.logged.length).toBeGreaterThan(30);
  const log = registry.logged.join('');
  expect(log).toContain('user alice');
  const kept = Buffer.from(registry.tables.everything());
  for (const text of secrets) {
    // A part of it would do as well.
    const part = text.slice(-20);
    expect({ part, isLogged: log.includes(part) }).toEqual({ part, isLogged: false });
    expect({ part, isKept: kept.indexOf(part) !== -1 }).toEqual({ part, isKept: false });
  }
  for (const authorization of Object.values(credentials)) expect(log).not.toContain(authorization.split(' ')[1] ?? '');
  for (const key of privateKeys) expect(log).not.toContain(key);
});

/** The private parts of the keys that sign. */
function keysIn(registry: TokenRegistry): readonly string[] {
  const rows = registry.tables.rows<{ private_key: string }>('select private_key from signing_key');
  return rows.map(({ private_key: key }) => /"d":"([^"]+)"/.exec(key)?.[1] ?? 'no private part');
}
