import { afterAll, beforeAll, expect, test } from 'bun:test';
import { digestOf, freshBytes } from './content.ts';
import { expectRefusal } from './refusal.ts';
import { ServedRegistry } from './served-registry.ts';

let registry: ServedRegistry;

beforeAll(async () => {
  registry = await ServedRegistry.start();
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
});

async function mount(repo: string, query: string): Promise<Response> {
  return await registry.send(`/v2/${repo}/blobs/uploads/?${query}`, { method: 'POST' });
}

async function expectBlob(repo: string, bytes: Uint8Array): Promise<void> {
  const answer = await registry.send(`/v2/${repo}/blobs/${digestOf(bytes)}`);
  expect(answer.status).toBe(200);
  expect(digestOf(await answer.bytes())).toBe(digestOf(bytes));
}

test('makes a blob of one repository visible in another, where it stays when the first one loses it', async () => {
  const blob = freshBytes();
  const digest = await registry.pushBlob('mounts/source', blob);
  const answer = await mount('mounts/target', `mount=${digest}&from=mounts/source`);
  expect(answer.status).toBe(201);
  expect(answer.headers.get('location')).toBe(`/v2/mounts/target/blobs/${digest}`);
  expect(answer.headers.get('docker-content-digest')).toBe(digest);
  await expectBlob('mounts/target', blob);

  await registry.send(`/v2/mounts/source/blobs/${digest}`, { method: 'DELETE' });
  await expectBlob('mounts/target', blob);
  expect((await registry.send(`/v2/mounts/source/blobs/${digest}`)).status).toBe(404);
});

test('finds a blob that the client names no source for in any repository', async () => {
  const blob = freshBytes();
  const digest = await registry.pushBlob('mounts/somewhere', blob);
  expect((await mount('mounts/anywhere', `mount=${digest}`)).status).toBe(201);
  await expectBlob('mounts/anywhere', blob);
});

test('opens a session instead where the source does not have the blob, and takes the blob there', async () => {
  const blob = freshBytes();
  const digest = await registry.pushBlob('mounts/has-it', blob);
  const unknown = digestOf('unknown');
  for (const query of [
    `mount=${digest}&from=mounts/has-it-not`,
    `mount=${digest}&from=NOT%20A%20NAME`,
    `mount=${unknown}&from=mounts/has-it`,
    `mount=${unknown}`,
  ]) {
    const answer = await mount('mounts/wants-it', query);
    expect(answer.status).toBe(202);
    const location = answer.headers.get('location') ?? '';
    expect((await registry.send(`${location}?digest=${digest}`, { method: 'PUT', body: blob })).status).toBe(201);
  }
});

test('does not mount what a client has deleted', async () => {
  const digest = await registry.pushBlob('mounts/deleted', freshBytes());
  await registry.send(`/v2/mounts/deleted/blobs/${digest}`, { method: 'DELETE' });
  expect((await mount('mounts/late', `mount=${digest}`)).status).toBe(202);
  expect((await mount('mounts/late', `mount=${digest}&from=mounts/deleted`)).status).toBe(202);
});

test('refuses to mount what is no digest', async () => {
  await expectRefusal(await mount('mounts/target', 'mount=sha256:no&from=mounts/source'), 400, 'DIGEST_INVALID');
});
