import { afterAll, beforeAll, expect, test } from 'bun:test';
import { digestOf, freshBytes, imageOf } from './content.ts';
import { expectRefusal } from './refusal.ts';
import { ServedRegistry } from './served-registry.ts';

const repo = 'team/app';
let registry: ServedRegistry;

beforeAll(async () => {
  registry = await ServedRegistry.start();
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
});

async function remove(digest: string, from = repo): Promise<Response> {
  return await registry.send(`/v2/${from}/blobs/${digest}`, { method: 'DELETE' });
}

async function expectGone(digest: string): Promise<void> {
  await expectRefusal(await registry.send(`/v2/${repo}/blobs/${digest}`), 404, 'BLOB_UNKNOWN');
  expect((await registry.send(`/v2/${repo}/blobs/${digest}`, { method: 'HEAD' })).status).toBe(404);
}

async function expectThere(bytes: Uint8Array, where = repo): Promise<void> {
  const answer = await registry.send(`/v2/${where}/blobs/${digestOf(bytes)}`);
  expect(answer.status).toBe(200);
  expect(await answer.bytes()).toEqual(bytes);
}

/** Pushes an image under a tag, its blobs first. @returns its digest */
async function pushImage(tag: string, config: Uint8Array, ...layers: readonly Uint8Array[]): Promise<string> {
  for (const bytes of [config, ...layers]) await registry.pushBlob(repo, bytes);
  const text = JSON.stringify(imageOf(config, ...layers));
  expect((await registry.putManifest(repo, tag, text)).status).toBe(201);
  return digestOf(text);
}

test('a blob is gone at once when it is deleted', async () => {
  const digest = await registry.pushBlob(repo, freshBytes());
  const deleted = await remove(digest);
  expect([deleted.status, deleted.headers.get('docker-content-digest')]).toEqual([202, digest]);
  await expectGone(digest);
  await expectRefusal(await remove(digest), 404, 'BLOB_UNKNOWN');
});

test('a blob that is not there cannot be deleted', async () => {
  const unknown = digestOf(freshBytes());
  const refusal = await expectRefusal(await remove(unknown), 404, 'BLOB_UNKNOWN');
  expect(refusal.detail).toEqual({ repository: repo, digest: unknown });
  const bytes = freshBytes();
  const digest = await registry.pushBlob(repo, bytes);
  await expectRefusal(await remove(digest, 'team/other'), 404, 'BLOB_UNKNOWN');
  await expectThere(bytes);
});

test('a blob is back when it is pushed again after its deletion', async () => {
  const bytes = freshBytes();
  const digest = await registry.pushBlob(repo, bytes);
  for (const _ of ['once', 'twice']) {
    expect((await remove(digest)).status).toBe(202);
    await expectGone(digest);
    await registry.pushBlob(repo, bytes);
    await expectThere(bytes);
  }
});

test('a deletion in one repository leaves the blob in another', async () => {
  const bytes = freshBytes();
  const digest = await registry.pushBlob(repo, bytes);
  await registry.pushBlob('team/other', bytes);
  expect((await remove(digest)).status).toBe(202);
  await expectGone(digest);
  await expectThere(bytes, 'team/other');
});

test('a blob that is part of an image is not deleted, and the images are named', async () => {
  const [config, layer, shared] = [freshBytes(), freshBytes(), freshBytes()];
  const first = await pushImage('first', config, layer, shared);
  const second = await pushImage('second', freshBytes(), shared);
  const holders: readonly [Uint8Array, readonly string[]][] = [
    [config, [first]],
    [layer, [first]],
    [shared, [first, second]],
  ];
  for (const [bytes, manifests] of holders) {
    const answer = await remove(digestOf(bytes));
    expect(answer.headers.get('allow')).toBe('GET, HEAD');
    const refusal = await expectRefusal(answer, 405, 'DENIED');
    expect(refusal.detail).toEqual({ digest: digestOf(bytes), manifests: manifests.toSorted() });
    for (const manifest of manifests) expect(refusal.message).toContain(manifest);
    await expectThere(bytes);
  }
});

test('a blob that is part of an image can be deleted once nothing uses it', async () => {
  const [config, shared] = [freshBytes(), freshBytes()];
  const images = [await pushImage('third', config, shared), await pushImage('fourth', freshBytes(), shared)];
  for (const image of images) {
    await expectRefusal(await remove(digestOf(shared)), 405, 'DENIED');
    const deleted = await registry.send(`/v2/${repo}/manifests/${image}`, { method: 'DELETE' });
    expect(deleted.status).toBe(202);
  }
  for (const bytes of [config, shared]) {
    expect((await remove(digestOf(bytes))).status).toBe(202);
    await expectGone(digestOf(bytes));
  }
});

test('an image in one repository does not keep its blobs in another', async () => {
  const [config, layer] = [freshBytes(), freshBytes()];
  await pushImage('fifth', config, layer);
  for (const bytes of [config, layer]) {
    await registry.pushBlob('team/other', bytes);
    expect((await remove(digestOf(bytes), 'team/other')).status).toBe(202);
    await expectThere(bytes);
  }
});
