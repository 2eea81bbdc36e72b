import { expect, test } from 'bun:test';
import { connect } from 'node:net';
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
