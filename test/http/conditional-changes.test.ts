import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { digestOf, freshBytes, imageOf, indexOf, ociIndex, ociManifest } from './content.ts';
import { expectRefusal } from './refusal.ts';
import { ServedRegistry } from './served-registry.ts';

const repo = 'team/app';
const config = freshBytes();
let registry: ServedRegistry;

beforeAll(async () => {
  registry = await ServedRegistry.start();
  await registry.pushBlob(repo, config);
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
});

/** An image that nobody has pushed yet, as text. */
function freshImage(): string {
  return JSON.stringify({ ...imageOf(config), annotations: { id: crypto.randomUUID() } });
}

type Condition = Readonly<Record<string, string>>;

async function put(reference: string, text: string, condition: Condition = {}): Promise<Response> {
  return await registry.send(`/v2/${repo}/manifests/${reference}`, {
    method: 'PUT',
    headers: { 'content-type': ociManifest, ...condition },
    body: text,
  });
}

async function remove(reference: string, condition: Condition): Promise<Response> {
  return await registry.send(`/v2/${repo}/manifests/${reference}`, { method: 'DELETE', headers: condition });
}

async function targetOf(reference: string): Promise<string | null> {
  const answer = await registry.send(`/v2/${repo}/manifests/${reference}`, { method: 'HEAD' });
  return answer.headers.get('docker-content-digest');
}

/** A new tag that leads to a new image. @returns the tag and the image's digest */
async function freshTag(): Promise<{ readonly tag: string; readonly digest: string }> {
  const tag = `t${crypto.randomUUID()}`;
  const text = freshImage();
  expect((await put(tag, text)).status).toBe(201);
  return { tag, digest: digestOf(text) };
}

const otherTag = `"${digestOf('other')}"`;

describe('a tag that leads to an image is moved', () => {
  test.each<[string, (digest: string) => Condition]>([
    ['If-Match names the image', (digest) => ({ 'if-match': `"${digest}"` })],
    ['If-Match names the image among others', (digest) => ({ 'if-match': `${otherTag}, "${digest}"` })],
    ['If-Match is *', () => ({ 'if-match': '*' })],
    ['If-None-Match names another', () => ({ 'if-none-match': otherTag })],
    ['both are met', (digest) => ({ 'if-match': `"${digest}"`, 'if-none-match': otherTag })],
  ])('where %s', async (_, condition) => {
    const { tag, digest } = await freshTag();
    const text = freshImage();
    expect((await put(tag, text, condition(digest))).status).toBe(201);
    expect(await targetOf(tag)).toBe(digestOf(text));
  });
});

describe('a tag that leads to an image stays, and nothing is stored,', () => {
  test.each<[string, (digest: string) => Condition]>([
    ['If-Match names another', () => ({ 'if-match': otherTag })],
    ['If-Match names it weakly', (digest) => ({ 'if-match': `W/"${digest}"` })],
    ['If-Match is no entity tag', (digest) => ({ 'if-match': digest })],
    ['If-Match is empty', () => ({ 'if-match': '' })],
    ['If-None-Match is *', () => ({ 'if-none-match': '*' })],
    ['If-None-Match names the image', (digest) => ({ 'if-none-match': `"${digest}"` })],
    ['If-None-Match names the image weakly', (digest) => ({ 'if-none-match': `${otherTag},W/"${digest}"` })],
    ['one of both is not met', (digest) => ({ 'if-match': `"${digest}"`, 'if-none-match': '*' })],
  ])('where %s', async (_, condition) => {
    const { tag, digest } = await freshTag();
    const text = freshImage();
    const refusal = await expectRefusal(await put(`${tag}?tag=${tag}x`, text, condition(digest)), 412, 'DENIED');
    expect(refusal.detail).toEqual({ repository: repo, tag, current: digest });
    expect(refusal.message).toContain(digest);
    expect([await targetOf(tag), await targetOf(`${tag}x`)]).toEqual([digest, null]);
    expect(registry.rows('select digest from manifest where digest = ?', digestOf(text))).toEqual([]);
  });
});

test('a tag that is not there yet is made where nothing is demanded of it, or that it is not there', async () => {
  for (const condition of [{ 'if-none-match': '*' }, { 'if-none-match': otherTag }]) {
    expect((await put(`t${crypto.randomUUID()}`, freshImage(), condition)).status).toBe(201);
  }
  for (const condition of [{ 'if-match': '*' }, { 'if-match': otherTag }]) {
    const tag = `t${crypto.randomUUID()}`;
    const refusal = await expectRefusal(await put(tag, freshImage(), condition), 412, 'DENIED');
    expect(refusal.detail).toEqual({ repository: repo, tag, current: null });
    expect(await targetOf(tag)).toBeNull();
  }
});

test('of many who make a tag unless it is there, one does', async () => {
  const tag = `t${crypto.randomUUID()}`;
  const texts = Array.from({ length: 20 }, freshImage);
  const answers = await Promise.all(texts.map((text) => put(tag, text, { 'if-none-match': '*' })));
  const winners = texts.filter((_unused, index) => answers[index]?.status === 201);
  expect(answers.filter((answer) => answer.status === 412)).toHaveLength(19);
  expect(winners.map((text) => digestOf(text))).toEqual([(await targetOf(tag)) ?? '']);
});

test('a manifest pushed by its digest is there or not, whatever its tags lead to', async () => {
  const { tag } = await freshTag();
  const text = freshImage();
  const path = `${digestOf(text)}?tag=${tag}`;
  await expectRefusal(await put(path, text, { 'if-match': '*' }), 412, 'DENIED');
  expect((await put(path, text, { 'if-none-match': '*' })).status).toBe(201);
  const refusal = await expectRefusal(await put(path, text, { 'if-none-match': '*' }), 412, 'DENIED');
  expect(refusal.detail).toEqual({ repository: repo, digest: digestOf(text), current: digestOf(text) });
  expect((await put(path, text, { 'if-match': `"${digestOf(text)}"` })).status).toBe(201);
  // Deleted, it is not there any more, though it can be restored.
  expect((await remove(digestOf(text), {})).status).toBe(202);
  await expectRefusal(await put(path, text, { 'if-match': '*' }), 412, 'DENIED');
  expect((await put(path, text, { 'if-none-match': '*' })).status).toBe(201);
});

test('a condition counts only where the push would succeed without it', async () => {
  const { tag } = await freshTag();
  const incomplete = JSON.stringify(imageOf(freshBytes()));
  for (const condition of [{ 'if-match': otherTag }, { 'if-none-match': '*' }]) {
    await expectRefusal(await put(tag, 'no manifest', condition), 400, 'MANIFEST_INVALID');
    await expectRefusal(await put(tag, incomplete, condition), 404, 'MANIFEST_BLOB_UNKNOWN');
  }
});

test('a tag is deleted only where it still leads to what the client has seen', async () => {
  const { tag, digest } = await freshTag();
  for (const condition of [{ 'if-match': otherTag }, { 'if-none-match': '*' }, { 'if-none-match': `"${digest}"` }]) {
    const refusal = await expectRefusal(await remove(tag, condition), 412, 'DENIED');
    expect(refusal.detail).toEqual({ repository: repo, tag, current: digest });
    expect(await targetOf(tag)).toBe(digest);
  }
  expect((await remove(tag, { 'if-match': `"${digest}"` })).status).toBe(202);
  expect(await targetOf(tag)).toBeNull();
  expect(await targetOf(digest)).toBe(digest);
  await expectRefusal(await remove(tag, { 'if-match': `"${digest}"` }), 404, 'MANIFEST_UNKNOWN');
});

test('a manifest is deleted where it is what the client means, and not where an index lists it', async () => {
  const text = freshImage();
  const digest = digestOf(text);
  await put(digest, text);
  await expectRefusal(await remove(digest, { 'if-match': otherTag }), 412, 'DENIED');
  const index = JSON.stringify(indexOf(text));
  expect((await registry.putManifest(repo, digestOf(index), index, ociIndex)).status).toBe(201);
  await expectRefusal(await remove(digest, { 'if-match': otherTag }), 409, 'DENIED');
  expect((await remove(digestOf(index), { 'if-match': '*' })).status).toBe(202);
  expect((await remove(digest, { 'if-match': `"${digest}"` })).status).toBe(202);
  await expectRefusal(await remove(digest, { 'if-match': '*' }), 404, 'MANIFEST_UNKNOWN');
});
