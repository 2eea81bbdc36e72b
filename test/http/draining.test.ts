import { expect, test } from 'bun:test';
import { connect } from 'node:net';
import { RawRequest } from '../server/raw-request.ts';
import { until } from '../server/until.ts';
import { digestOf, freshBytes } from './content.ts';
import { ServedRegistry } from './served-registry.ts';

test('an upload that is under way when the server is asked to stop is finished and acknowledged', async () => {
  await using registry = await ServedRegistry.start({ 'http.drain': '10m' });
  const blob = freshBytes(1000);
  const digest = digestOf(blob);
  const upload = await RawRequest.open(registry.host, 'POST', `/v2/a/blobs/uploads/?digest=${digest}`, {
    'content-length': '1000',
  });
  await upload.write(blob.subarray(0, 500));
  await untilUploadOpen(registry);
  const { host } = registry;
  const stopped = registry.stop();
  await upload.write(blob.subarray(500));
  expect(await upload.status()).toBe(201);
  await stopped;
  expect(await fetch(`http://${host}/v2/`).catch(() => 'nobody listens')).toBe('nobody listens');

  await registry.resume();
  const pulled = await registry.send(`/v2/a/blobs/${digest}`);
  expect(digestOf(await pulled.bytes())).toBe(digest);
});

test('a client that has sent half a request, or keeps back the body of a refused one, does not hold up the stop', async () => {
  await using registry = await ServedRegistry.start({ 'http.drain': '10m' });
  const half = connect(registry.port, '127.0.0.1');
  half.write('GET /v2/ HTTP/1.1\r\nHost: half\r\n');
  const refused = await RawRequest.open(registry.host, 'PUT', '/v2/a/blobs/uploads/unknown?digest=x', {
    'content-length': '1000',
  });
  expect(await refused.status()).toBe(400);
  await registry.stop();
  half.destroy();
  refused.destroy();
});

test('a transfer that takes longer than the drain is cut off', async () => {
  await using registry = await ServedRegistry.start({ 'http.drain': '0s' });
  const stalled = await RawRequest.open(registry.host, 'POST', '/v2/a/blobs/uploads/?digest=sha256:' + '0'.repeat(64), {
    'content-length': '1000',
  });
  await untilUploadOpen(registry);
  await registry.stop();
  expect(await stalled.status()).toBeUndefined();
});

async function untilUploadOpen(registry: ServedRegistry): Promise<void> {
  await until('an upload session is open', () => registry.rows('select id from upload').length > 0);
}
