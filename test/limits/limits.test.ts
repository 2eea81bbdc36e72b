import { expect, test } from 'bun:test';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { digestOf, freshBytes, imageOf, ociManifest } from '../http/content.ts';
import { expectRefusal } from '../http/refusal.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { RawRequest } from '../server/raw-request.ts';
import { until } from '../server/until.ts';

async function push(registry: ServedRegistry, bytes: Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) {
  const path = `/v2/app/blobs/uploads/?digest=${digestOf(bytes)}`;
  return await registry.send(path, { method: 'POST', body: bytes, headers });
}

test('a client that asks too often is told when it may ask again; health and the admin API always answer', async () => {
  await using registry = await ServedRegistry.start({
    'limits.requestRatePerClient': '1',
    'limits.requestBurstPerClient': '3',
  });
  const statuses: number[] = [];
  let refused = await registry.send('/v2/');
  for (let each = 0; each < 5; each++) {
    statuses.push(refused.status);
    refused = await registry.send('/v2/');
  }
  expect(statuses).toEqual([200, 200, 200, 429, 429]);
  await expectRefusal(refused, 429, 'TOOMANYREQUESTS');
  expect(Number(refused.headers.get('retry-after'))).toBe(1);
  expect((await registry.send('/healthz')).status).toBe(200);
  expect((await registry.admin('GET', '/status')).status).toBe(200);
});

test('behind a proxy that is trusted, each client has its own limits; one that is not trusted speaks for itself', async () => {
  const limits = { 'limits.requestRatePerClient': '1', 'limits.requestBurstPerClient': '1' };
  const statusFor = async (registry: ServedRegistry, client: string): Promise<number> =>
    (await registry.send('/v2/', { headers: { 'x-forwarded-for': client } })).status;
  await using trusting = await ServedRegistry.start({ ...limits, 'http.trustedProxies': '127.0.0.1' });
  expect(await statusFor(trusting, '10.0.0.1')).toBe(200);
  expect(await statusFor(trusting, '10.0.0.2')).toBe(200);
  expect(await statusFor(trusting, '10.0.0.1')).toBe(429);
  expect([await statusFor(trusting, ''), await statusFor(trusting, '')]).toEqual([200, 200]);
  await using strict = await ServedRegistry.start(limits);
  expect(await statusFor(strict, '10.0.0.1')).toBe(200);
  expect(await statusFor(strict, '10.0.0.2')).toBe(429);
});

test('uploads at once are limited before anything of them is read, and only as long as they last', async () => {
  await using registry = await ServedRegistry.start({ 'limits.uploadsPerClient': '2' });
  const hanging = await Promise.all(
    [1, 2].map(async () => {
      const opened = await registry.send('/v2/app/blobs/uploads/', { method: 'POST' });
      return await RawRequest.open(registry.host, 'PATCH', opened.headers.get('location') ?? '', {
        'content-length': '1000',
      });
    }),
  );
  const bytes = freshBytes();
  await until('the limit is reached', async () => (await push(registry, bytes)).status === 429);
  const refused = await push(registry, bytes);
  await expectRefusal(refused, 429, 'TOOMANYREQUESTS');
  expect(refused.headers.get('retry-after')).toBe('1');
  // Neither asking for things nor opening a session brings a body.
  expect((await registry.send('/v2/app/tags/list')).status).toBe(404);
  expect((await registry.send('/v2/app/blobs/uploads/', { method: 'POST' })).status).toBe(202);
  for (const request of hanging) request.destroy();
  await until('they have ended', async () => (await push(registry, bytes)).status === 201);
});

test('a client can have only so many upload sessions open, over a restart too; those that have ended do not count', async () => {
  const limits = { 'limits.uploadSessionsPerClient': '3', 'http.trustedProxies': '127.0.0.1' };
  await using registry = await ServedRegistry.start(limits);
  const begin = async (client = '10.0.0.1') =>
    await registry.send('/v2/app/blobs/uploads/', { method: 'POST', headers: { 'x-forwarded-for': client } });
  const refuses = async (): Promise<void> => {
    const refused = await begin();
    await expectRefusal(refused, 429, 'TOOMANYREQUESTS');
    expect(refused.headers.get('retry-after')).toBe('60');
  };
  const sessions = [await begin(), await begin(), await begin()].map((answer) => answer.headers.get('location') ?? '');
  await refuses();
  expect((await begin('10.0.0.2')).status).toBe(202);
  const headers = { 'x-forwarded-for': '10.0.0.1' };
  // One that could not mount would be given a session too.
  const mount = `/v2/app/blobs/uploads/?mount=${digestOf('absent')}&from=other`;
  await expectRefusal(await registry.send(mount, { method: 'POST', headers }), 429, 'TOOMANYREQUESTS');
  // A blob in one request needs none that stays open.
  expect((await push(registry, freshBytes(), headers)).status).toBe(201);
  await registry.stop();
  await registry.resume(limits);
  await refuses();

  const [first = '', second = ''] = sessions;
  const bytes = freshBytes();
  expect((await registry.send(`${first}?digest=${digestOf(bytes)}`, { method: 'PUT', body: bytes })).status).toBe(201);
  expect((await registry.send(second, { method: 'DELETE' })).status).toBe(204);
  expect([(await begin()).status, (await begin()).status]).toEqual([202, 202]);
  await refuses();
});

test('a client that has sent more than it may is refused its next upload, not one that is under way', async () => {
  await using registry = await ServedRegistry.start({ 'limits.uploadRatePerClient': '1KiB' });
  const image = freshBytes(70 * 1024);
  expect((await push(registry, image)).status).toBe(201);
  const refused = await push(registry, freshBytes());
  await expectRefusal(refused, 429, 'TOOMANYREQUESTS');
  // 70 KiB at 1 KiB a second, a minute's worth of it in advance.
  expect(Number(refused.headers.get('retry-after'))).toBeWithin(5, 12);
  const text = JSON.stringify(imageOf(image));
  const manifest = { method: 'PUT', headers: { 'content-type': ociManifest }, body: text };
  expect((await registry.send('/v2/app/manifests/latest', manifest)).status).toBe(429);
  const pulled = await registry.send(`/v2/app/blobs/${digestOf(image)}`);
  expect(digestOf(await pulled.bytes())).toBe(digestOf(image));
});

test('bytes count as they come, also where nobody has said how many there will be', async () => {
  await using registry = await ServedRegistry.start({ 'limits.uploadRatePerClient': '1KiB' });
  const location = (await registry.send('/v2/app/blobs/uploads/', { method: 'POST' })).headers.get('location') ?? '';
  const bytes = freshBytes(100 * 1024);
  const streamed = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });
  const patched = await registry.send(location, { method: 'PATCH', body: streamed });
  expect(patched.status).toBe(202);
  const closed = await registry.send(`${patched.headers.get('location')}?digest=${digestOf(bytes)}`, { method: 'PUT' });
  expect(closed.status).toBe(201);
  expect((await push(registry, freshBytes())).status).toBe(429);
});

/** Connects, asks, and keeps the connection. */
async function open(registry: ServedRegistry): Promise<{ readonly socket: Socket; readonly answer: () => string }> {
  let answer = '';
  const socket = connect(registry.port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.on('data', (piece) => (answer += piece.toString('latin1')));
  socket.write('GET /v2/ HTTP/1.1\r\nHost: registry\r\n\r\n');
  await until('it is answered', () => answer !== '');
  return { socket, answer: () => answer };
}

test('connections of one client are limited, and the next is told so', async () => {
  await using registry = await ServedRegistry.start({ 'limits.connectionsPerClient': '2' });
  const [first, second] = [await open(registry), await open(registry)];
  expect([first.answer(), second.answer()].map((answer) => answer.slice(0, 12))).toEqual([
    'HTTP/1.1 200',
    'HTTP/1.1 200',
  ]);
  const third = await open(registry);
  expect(third.answer()).toStartWith('HTTP/1.1 429 Too Many Requests\r\n');
  expect(third.answer()).toContain('\r\nRetry-After: 1\r\n');
  expect(third.answer()).toContain('"code":"TOOMANYREQUESTS"');
  await until('it is closed, though the client has not closed it', () => third.socket.destroyed);
  first.socket.destroy();
  await until('there is room again', async () => {
    const { socket, answer } = await open(registry);
    socket.destroy();
    return answer().startsWith('HTTP/1.1 200');
  });
  second.socket.destroy();
});

test('connections of all together are limited', async () => {
  await using registry = await ServedRegistry.start({ 'limits.connections': '1' });
  const first = await open(registry);
  expect((await open(registry)).answer()).toStartWith('HTTP/1.1 503 Service Unavailable\r\n');
  // The operator comes in where the clients do not.
  const origin = (await Bun.file(join(registry.dataDirectory, 'server.url')).text()).trim();
  const authorization = `Bearer ${(await Bun.file(join(registry.dataDirectory, 'admin.token')).text()).trim()}`;
  expect((await fetch(`${origin}/admin/v1/status`, { headers: { authorization } })).status).toBe(200);
  first.socket.destroy();
});

test('a head that is larger than 16 KiB is refused with 431', async () => {
  await using registry = await ServedRegistry.start();
  const request = await RawRequest.open(registry.host, 'GET', '/v2/', { 'x-long': 'a'.repeat(20_000) });
  expect(await request.status()).toBe(431);
  const longPath = await RawRequest.open(registry.host, 'GET', `/v2/${'a'.repeat(20_000)}`, {});
  expect(await longPath.status()).toBe(431);
});

test('a body where none belongs is not kept in memory', async () => {
  await using registry = await ServedRegistry.start();
  Bun.gc(true);
  const beforeBytes = process.memoryUsage.rss();
  for (const method of ['DELETE', 'GET']) {
    const request = await RawRequest.open(registry.host, method, '/v2/app/manifests/absent', {
      'content-length': '300000000',
    });
    const piece = new Uint8Array(1_000_000);
    for (let each = 0; each < 300; each++) await request.write(piece);
    expect(await request.status()).toBe(404);
    request.destroy();
  }
  Bun.gc(true);
  expect(process.memoryUsage.rss() - beforeBytes).toBeLessThan(150_000_000);
});
