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

async function mount(repo: string, digest: string, from?: string): Promise<Response> {
  const source = from === undefined ? '' : `&from=${encodeURIComponent(from)}`;
  return await registry.send(`/v2/${repo}/blobs/uploads/?mount=${digest}${source}`, { method: 'POST' });
}

function expectMounted(answer: Response, repo: string, digest: string): void {
  expect(answer.status).toBe(201);
  expect(answer.headers.get('location')).toBe(`/v2/${repo}/blobs/${digest}`);
  expect(answer.headers.get('docker-content-digest')).toBe(digest);
}

async function pulled(repo: string, digest: string): Promise<Uint8Array> {
  const answer = await registry.send(`/v2/${repo}/blobs/${digest}`);
  expect(answer.status).toBe(200);
  return await answer.bytes();
}

/** Expects a session, and that the blob can be pushed through it. */
async function expectSession(answer: Response, repo: string, bytes: Uint8Array): Promise<void> {
  expect(answer.status).toBe(202);
  const location = answer.headers.get('location') ?? '';
  expect(location).toStartWith(`/v2/${repo}/blobs/uploads/`);
  const absent = await registry.send(`/v2/${repo}/blobs/${digestOf(bytes)}`);
  await expectRefusal(absent, 404, 'BLOB_UNKNOWN');
  const closed = await registry.send(`${location}?digest=${digestOf(bytes)}`, { method: 'PUT', body: bytes });
  expect(closed.status).toBe(201);
  expect(await pulled(repo, digestOf(bytes))).toEqual(bytes);
}

test('a blob of another repository is mounted without being sent again', async () => {
  const bytes = freshBytes();
  const digest = await registry.pushBlob('source/one', bytes);
  const filesBefore = await registry.objectFiles();
  expectMounted(await mount('target/one', digest, 'source/one'), 'target/one', digest);
  expect(await pulled('target/one', digest)).toEqual(bytes);
  expect((await registry.objectFiles()).toSorted()).toEqual(filesBefore.toSorted());
});

test('a blob is mounted from wherever it is where the client names no repository', async () => {
  const bytes = freshBytes();
  const digest = await registry.pushBlob('source/two', bytes);
  expectMounted(await mount('target/two', digest), 'target/two', digest);
  expect(await pulled('target/two', digest)).toEqual(bytes);
});

test('a blob is mounted where it is already, and again', async () => {
  const digest = await registry.pushBlob('source/same', freshBytes());
  expectMounted(await mount('source/same', digest, 'source/same'), 'source/same', digest);
  expectMounted(await mount('target/same', digest, 'source/same'), 'target/same', digest);
  expectMounted(await mount('target/same', digest, 'source/same'), 'target/same', digest);
});

test('a mount from a repository that does not have the blob becomes an upload', async () => {
  const bytes = freshBytes();
  const digest = await registry.pushBlob('source/three', bytes);
  await registry.pushBlob('source/without', freshBytes());
  await expectSession(await mount('target/three', digest, 'source/without'), 'target/three', bytes);
  await expectSession(await mount('target/four', digest, 'source/nobody'), 'target/four', bytes);
});

test('a mount of a blob that nobody has becomes an upload', async () => {
  const bytes = freshBytes();
  await expectSession(await mount('target/five', digestOf(bytes)), 'target/five', bytes);
  const others = freshBytes();
  await expectSession(await mount('target/five', digestOf(others), 'source/one'), 'target/five', others);
});

test('a mount of a blob that has been deleted in its repository becomes an upload', async () => {
  const bytes = freshBytes();
  const digest = await registry.pushBlob('source/gone', bytes);
  expect((await registry.send(`/v2/source/gone/blobs/${digest}`, { method: 'DELETE' })).status).toBe(202);
  await expectSession(await mount('target/gone', digest, 'source/gone'), 'target/gone', bytes);
  const other = freshBytes();
  const otherDigest = await registry.pushBlob('source/gone', other);
  expect((await registry.send(`/v2/source/gone/blobs/${otherDigest}`, { method: 'DELETE' })).status).toBe(202);
  await expectSession(await mount('target/gone', otherDigest), 'target/gone', other);
});

test('a mount from something that is no repository name becomes an upload', async () => {
  const bytes = freshBytes();
  const digest = await registry.pushBlob('source/four', bytes);
  for (const [number, from] of ['', 'Source/Four', 'source//four', '/source/four', '../source/four'].entries()) {
    const repo = `target/odd-${number}`;
    await expectSession(await mount(repo, digest, from), repo, bytes);
  }
});

test('a mount of a malformed digest is refused', async () => {
  for (const text of ['', 'latest', 'sha256:short', `md5:${'0'.repeat(32)}`]) {
    const refusal = await expectRefusal(await mount('target/six', text, 'source/one'), 400, 'DIGEST_INVALID');
    expect(refusal.detail).toEqual({ digest: text });
  }
});

test('a mounted blob stays when it is deleted where it came from', async () => {
  const bytes = freshBytes();
  const digest = await registry.pushBlob('source/five', bytes);
  expectMounted(await mount('target/seven', digest, 'source/five'), 'target/seven', digest);
  expect((await registry.send(`/v2/source/five/blobs/${digest}`, { method: 'DELETE' })).status).toBe(202);
  await expectRefusal(await registry.send(`/v2/source/five/blobs/${digest}`), 404, 'BLOB_UNKNOWN');
  expect(await pulled('target/seven', digest)).toEqual(bytes);
  // It can now be mounted back from there.
  expectMounted(await mount('source/five', digest, 'target/seven'), 'source/five', digest);
  expect(await pulled('source/five', digest)).toEqual(bytes);
});
