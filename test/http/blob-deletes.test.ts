import { afterAll, beforeAll, expect, test } from 'bun:test';
import { digestOf, freshBytes, imageOf } from './content.ts';
import { expectRefusal } from './refusal.ts';
import { ServedRegistry } from './served-registry.ts';

let registry: ServedRegistry;
const repo = 'deletes/blobs';

beforeAll(async () => {
  registry = await ServedRegistry.start();
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
});

async function remove(digest: string, from = repo): Promise<Response> {
  return await registry.send(`/v2/${from}/blobs/${digest}`, { method: 'DELETE' });
}

async function statusOf(digest: string, method = 'GET', of = repo): Promise<number> {
  return (await registry.send(`/v2/${of}/blobs/${digest}`, { method })).status;
}

test('deletes a blob at once, in this repository only', async () => {
  const blob = freshBytes();
  const digest = await registry.pushBlob(repo, blob);
  await registry.pushBlob('deletes/other', blob);
  expect((await remove(digest)).status).toBe(202);
  expect(await statusOf(digest)).toBe(404);
  expect(await statusOf(digest, 'HEAD')).toBe(404);
  expect(await statusOf(digest, 'GET', 'deletes/other')).toBe(200);
});

test('does not delete what is not there, nor what is no digest', async () => {
  await expectRefusal(await remove(digestOf('unknown')), 404, 'BLOB_UNKNOWN');
  await expectRefusal(await remove('latest'), 400, 'DIGEST_INVALID');
  const digest = await registry.pushBlob(repo, freshBytes());
  expect((await remove(digest)).status).toBe(202);
  await expectRefusal(await remove(digest), 404, 'BLOB_UNKNOWN');
});

test('keeps a blob that a visible manifest needs, and names the manifests', async () => {
  const config = freshBytes();
  const digest = await registry.pushBlob(repo, config);
  const first = JSON.stringify(imageOf(config));
  const second = JSON.stringify({ ...imageOf(config), annotations: { second: 'yes' } });
  for (const text of [first, second]) await registry.putManifest(repo, digestOf(text), text);

  const answer = await remove(digest);
  expect(answer.headers.get('allow')).toBe('GET, HEAD');
  const refusal = await expectRefusal(answer, 405, 'UNSUPPORTED');
  expect(refusal.detail).toEqual({ digest, manifests: [digestOf(first), digestOf(second)].toSorted() });
  expect(refusal.message).toContain(digestOf(second));
  expect(await statusOf(digest)).toBe(200);

  for (const text of [first, second]) {
    await registry.send(`/v2/${repo}/manifests/${digestOf(text)}`, { method: 'DELETE' });
  }
  expect((await remove(digest)).status).toBe(202);
});

test('has a deleted blob again once it is pushed again', async () => {
  const blob = freshBytes();
  const digest = await registry.pushBlob(repo, blob);
  await remove(digest);
  const absent = await registry.putManifest(repo, 'x', imageOf(blob));
  await expectRefusal(absent, 404, 'MANIFEST_BLOB_UNKNOWN');
  await registry.pushBlob(repo, blob);
  expect(await statusOf(digest)).toBe(200);
  expect((await registry.putManifest(repo, 'x', imageOf(blob))).status).toBe(201);
});
