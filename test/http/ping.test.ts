import { afterAll, beforeAll, expect, test } from 'bun:test';
import { expectRefusal } from './refusal.ts';
import { ServedRegistry } from './served-registry.ts';

let registry: ServedRegistry;

beforeAll(async () => {
  registry = await ServedRegistry.start();
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
});

test('tells a client that it has found a registry', async () => {
  for (const path of ['/v2/', '/v2']) {
    const answer = await registry.send(path);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('docker-distribution-api-version')).toBe('registry/2.0');
    expect(await answer.json()).toEqual({});
  }
});

test('refuses a method that a resource does not have, and names those that it has', async () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  const methods = {
    '/v2/': 'GET, HEAD',
    '/v2/_catalog': 'GET, HEAD',
    [`/v2/a/blobs/${digest}`]: 'GET, HEAD, DELETE',
    '/v2/a/blobs/uploads/': 'POST',
    '/v2/a/blobs/uploads/some': 'GET, PATCH, PUT, DELETE',
    '/v2/a/manifests/latest': 'GET, HEAD, PUT, DELETE',
    '/v2/a/tags/list': 'GET, HEAD',
    [`/v2/a/referrers/${digest}`]: 'GET, HEAD',
  };
  for (const [path, allow] of Object.entries(methods)) {
    const answer = await registry.send(path, { method: 'OPTIONS' });
    expect(answer.headers.get('allow')).toBe(allow);
    await expectRefusal(answer, 405, 'UNSUPPORTED');
  }
});

test('says where it answers to somebody who asks elsewhere', async () => {
  for (const path of ['/', '/v1/', '/v2/a', '/v2/a/tags', '/v2/a/tags/other', '/v2/a/%zz/b']) {
    const refusal = await expectRefusal(await registry.send(path), 404, 'UNSUPPORTED');
    expect(refusal.message).toContain('/v2/');
  }
});

test('gives each answer the id under which the log knows its request', async () => {
  const ids = await Promise.all([0, 1, 2].map(async () => (await registry.send('/v2/')).headers.get('x-request-id')));
  expect(new Set(ids).size).toBe(3);
});
