import { describe, expect, test } from 'bun:test';
import { connect } from 'node:net';
import { GuardedRegistry } from '../access/guarded-registry.ts';
import { RawRequest } from '../server/raw-request.ts';
import { ServedRegistry } from './served-registry.ts';

/** The status that the head of a request, written by hand, is answered with. */
async function statusOf(registry: ServedRegistry, head: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect(registry.port, '127.0.0.1', () => void socket.write(`${head}\r\n\r\n`));
  socket.once('data', (answer) => resolve(answer.toString('latin1').slice(9, 12)));
  socket.once('close', () => resolve('closed'));
  const status = await promise;
  socket.destroy();
  return status;
}

test('answers a request that names no host, as HTTP/1.0 allows and load balancers do', async () => {
  await using registry = await ServedRegistry.start();
  expect(await statusOf(registry, 'GET /healthz HTTP/1.0')).toBe('200');
  expect(await statusOf(registry, 'GET /v2/ HTTP/1.0')).toBe('200');
  expect(await statusOf(registry, 'GET /v2/ HTTP/1.1\r\nHost:')).toBe('200');
});

test('answers a client that names a host that no URL can have, with a relative location', async () => {
  await using registry = await ServedRegistry.start({ 'http.location': 'absolute' });
  for (const host of ['a:99999', '', 'a b']) {
    const headers = { host, 'content-length': '0' };
    const request = await RawRequest.open(registry.host, 'POST', '/v2/a/blobs/uploads/', headers);
    expect(await request.status()).toBe(202);
    request.destroy();
  }
  expect(registry.logged).toEqual([]);
});

test('has what is not HTTP refused by the runtime, and goes on', async () => {
  await using registry = await ServedRegistry.start();
  expect(await statusOf(registry, 'BREW /v2/ HTTP/1.1\r\nHost: a')).toBe('closed');
  expect(await statusOf(registry, 'nonsense')).toBe('400');
  expect(await statusOf(registry, `GET /v2/ HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(16 * 1024)}`)).toBe('431');
  expect(await statusOf(registry, 'GET /v2/ HTTP/1.1\r\nHost: a')).toBe('200');
});

/** What GET is answered with that asks for a host. */
async function answerFor(registry: ServedRegistry, path: string, host: string): Promise<number> {
  return Number(await statusOf(registry, `GET ${path} HTTP/1.1\r\nHost: ${host}`));
}

const localNames = [
  '127.0.0.1:5000',
  '[::1]:5000',
  '192.168.1.7',
  'localhost',
  'LOCALHOST.:5000',
  'app.localhost',
  'wherry:5000',
  'host.docker.internal:5000',
  'host.containers.internal',
];

const foreignNames = [
  'rebind.example.com',
  'rebind.example.com:5000',
  'EXAMPLE.COM.',
  '127.0.0.1.example.com',
  'localhost.example.com',
  'notinternal.com',
  '0x7f.1',
  'a..b',
  'rebind.example.com#.localhost',
  'rebind.example.com/.internal',
  'localhost@rebind.example.com',
  'rebind\u3002example\u3002com',
  '[rebind.example.com]',
  'localhost\r\nHost: rebind.example.com',
];

const paths = ['/v2/', '/v2/_catalog', '/v2/app/tags/list', '/admin/v1/openapi.json', '/metrics', '/nowhere'];

describe('where nobody has to log in, and only this machine is listened to', () => {
  test.each(localNames)('%s is a name of this machine', async (host) => {
    await using registry = await ServedRegistry.start();
    for (const path of paths) expect([path, await answerFor(registry, path, host)]).not.toEqual([path, 403]);
  });

  test('a name that a page elsewhere could have lead here is answered nothing, but whether the registry is well', async () => {
    await using registry = await ServedRegistry.start();
    for (const host of foreignNames) {
      for (const path of paths) expect([host, path, await answerFor(registry, path, host)]).toEqual([host, path, 403]);
      for (const path of ['/healthz', '/readyz']) expect(await answerFor(registry, path, host)).toBe(200);
    }
    const token = (await Bun.file(`${registry.dataDirectory}/admin.token`).text()).trim();
    const head = `GET /admin/v1/status HTTP/1.1\r\nAuthorization: Bearer ${token}\r\nHost: `;
    expect(await statusOf(registry, `${head}rebind.example.com`)).toBe('403');
    expect(await statusOf(registry, `${head}localhost`)).toBe('200');
  });

  test('a name that is configured is answered, others are not', async () => {
    await using registry = await ServedRegistry.start({
      'http.hosts': 'Registry.example.com',
      'auth.tokens.realm': 'https://login.example.com/token',
    });
    for (const host of ['registry.example.com:443', 'login.example.com']) {
      expect(await answerFor(registry, '/v2/_catalog', host)).toBe(200);
      expect(await answerFor(registry, '/admin/v1/openapi.json', host)).toBe(200);
    }
    expect(await answerFor(registry, '/v2/_catalog', 'example.com')).toBe(403);
  });

  test('with any name, the admin API still is for those of this machine', async () => {
    await using registry = await ServedRegistry.start({ 'http.hosts': 'any' });
    expect(await answerFor(registry, '/v2/_catalog', 'rebind.example.com')).toBe(200);
    expect(await answerFor(registry, '/admin/v1/openapi.json', 'rebind.example.com')).toBe(403);
  });

  test('what a proxy says of the host makes no name one of this machine', async () => {
    await using registry = await ServedRegistry.start({ 'http.trustedProxies': '127.0.0.1' });
    const head = 'GET /v2/ HTTP/1.1\r\nX-Forwarded-Host: localhost\r\nHost: rebind.example.com';
    expect(await statusOf(registry, head)).toBe('403');
  });
});

test('where everybody is let in from a network on purpose, any name is answered, but for the admin API', async () => {
  await using registry = await ServedRegistry.start({ listen: '0.0.0.0:0', 'auth.anonymous': 'all' });
  expect(await answerFor(registry, '/v2/_catalog', 'registry.example.com')).toBe(200);
  expect(await answerFor(registry, '/admin/v1/openapi.json', 'registry.example.com')).toBe(403);
});

test('where users log in any name is answered: a page does not know how', async () => {
  await using guarded = await GuardedRegistry.start(['alice'], {
    access: [{ who: 'anonymous', repositories: 'public/**', actions: 'pull' }],
  });
  expect(await answerFor(guarded.registry, '/v2/', 'registry.example.com')).toBe(401);
  expect(await answerFor(guarded.registry, '/admin/v1/status', 'registry.example.com')).toBe(401);
});
