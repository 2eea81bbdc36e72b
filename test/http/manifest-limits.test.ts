import { afterAll, beforeAll, expect, test } from 'bun:test';
import { RawRequest } from '../server/raw-request.ts';
import { digestOf, freshBytes, imageOf, ociManifest } from './content.ts';
import { expectRefusal } from './refusal.ts';
import { ServedRegistry } from './served-registry.ts';

const repo = 'limits/image';
const mib = 1024 * 1024;
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

async function pulledText(reference: string): Promise<string> {
  return await (await registry.send(`/v2/${repo}/manifests/${reference}`)).text();
}

test('takes as many tags at once as it says that it does, in a push by tag too', async () => {
  const text = freshImage();
  const many = Array.from({ length: 100 }, (_unused, index) => `most${index}`);
  const answer = await registry.putManifest(
    repo,
    `${digestOf(text)}?${many.map((tag) => `tag=${tag}`).join('&')}`,
    text,
  );
  expect(answer.status).toBe(201);
  expect(answer.headers.get('oci-tag')?.split(', ')).toEqual(many);
  expect(await pulledText('most99')).toBe(text);

  const other = freshImage();
  expect((await registry.putManifest(repo, 'in-path?tag=in-query', other)).status).toBe(201);
  for (const tag of ['in-path', 'in-query']) expect(await pulledText(tag)).toBe(other);
});

test('refuses a manifest that is announced as too large before it has come', async () => {
  const request = await RawRequest.open(registry.host, 'PUT', `/v2/${repo}/manifests/announced`, {
    'content-type': ociManifest,
    'content-length': String(4 * mib + 1),
  });
  try {
    expect(await request.status()).toBe(413);
  } finally {
    request.destroy();
  }
});

test('keeps to the limit that the operator has set', async () => {
  const limit = 5 * mib;
  await using roomy = await ServedRegistry.start({ 'manifests.maxSize': '5MiB' });
  await roomy.pushBlob(repo, config);
  const text = JSON.stringify(imageOf(config));
  expect((await roomy.putManifest(repo, 'x', text.padEnd(limit))).status).toBe(201);
  const refused = await roomy.putManifest(repo, 'x', text.padEnd(limit + 1));
  const refusal = await expectRefusal(refused, 413, 'MANIFEST_INVALID');
  expect(refusal.detail).toEqual({ limit });
  expect(refusal.message).toContain('manifests.maxSize');
});

test('refuses a manifest that grows too large without having been announced, before it has ended', async () => {
  const request = await RawRequest.open(registry.host, 'PUT', `/v2/${repo}/manifests/growing`, {
    'content-type': ociManifest,
    'transfer-encoding': 'chunked',
  });
  try {
    const chunk = ' '.repeat(mib);
    for (let sent = 0; sent <= 4 * mib; sent += mib) {
      await request.write(`${mib.toString(16)}\r\n${chunk}\r\n`);
    }
    expect(await request.status()).toBe(413);
  } finally {
    request.destroy();
  }
});
