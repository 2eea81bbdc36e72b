import { expect, test } from 'bun:test';
import { digestOf, freshBytes, imageOf } from './content.ts';
import { ServedRegistry, type Settings } from './served-registry.ts';

/** The Location of a new upload session as a client behind a proxy sees it. */
async function locationOfUpload(settings: Settings, headers: Readonly<Record<string, string>>): Promise<string> {
  await using registry = await ServedRegistry.start(settings);
  const answer = await registry.send('/v2/a/blobs/uploads/', { method: 'POST', headers });
  const location = answer.headers.get('location') ?? '';
  return location.replace(/uploads\/.*$/, 'uploads/ID').replace(registry.host, 'HOST');
}

const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'images.example:8443' };
const trusting = { 'http.location': 'absolute', 'http.trustedProxies': '10.0.0.0/8, 127.0.0.1/32' };

test('is relative unless told otherwise, so that any proxy can stand before it', async () => {
  expect(await locationOfUpload({}, forwarded)).toBe('/v2/a/blobs/uploads/ID');
});

test('is absolute where that is wanted, by what a trusted proxy says of the client', async () => {
  expect(await locationOfUpload({ 'http.location': 'absolute' }, {})).toBe('http://HOST/v2/a/blobs/uploads/ID');
  expect(await locationOfUpload(trusting, forwarded)).toBe('https://images.example:8443/v2/a/blobs/uploads/ID');
});

test('believes nobody but trusted proxies', async () => {
  const own = 'http://HOST/v2/a/blobs/uploads/ID';
  expect(await locationOfUpload({ 'http.location': 'absolute' }, forwarded)).toBe(own);
  expect(await locationOfUpload({ ...trusting, 'http.trustedProxies': '10.0.0.0/8' }, forwarded)).toBe(own);
});

test('takes no nonsense from a trusted proxy either', async () => {
  const nonsense = { 'x-forwarded-proto': 'javascript', 'x-forwarded-host': 'evil.example/path' };
  expect(await locationOfUpload(trusting, nonsense)).toBe('http://HOST/v2/a/blobs/uploads/ID');
});

test('is the same kind for blobs and manifests, and leads to them', async () => {
  for (const kind of ['relative', 'absolute']) {
    await using registry = await ServedRegistry.start({ 'http.location': kind });
    const config = freshBytes();
    const digest = await registry.pushBlob('a', config);
    const manifest = JSON.stringify(imageOf(config));
    const blobs = `/v2/a/blobs/uploads/?digest=${digest}`;
    const answers = [
      await registry.send(blobs, { method: 'POST', body: config }),
      await registry.putManifest('a', 'x', manifest),
    ];
    const locations = answers.map((answer) => answer.headers.get('location') ?? '');
    const prefix = kind === 'absolute' ? registry.origin : '';
    expect(locations).toEqual([`${prefix}/v2/a/blobs/${digest}`, `${prefix}/v2/a/manifests/${digestOf(manifest)}`]);
    for (const location of locations) expect((await registry.send(location)).status).toBe(200);
  }
});

test('believes each of two headers by itself', async () => {
  const { 'x-forwarded-proto': proto, 'x-forwarded-host': host } = forwarded;
  expect(await locationOfUpload(trusting, { 'x-forwarded-proto': proto })).toBe('https://HOST/v2/a/blobs/uploads/ID');
  expect(await locationOfUpload(trusting, { 'x-forwarded-host': host })).toBe(
    'http://images.example:8443/v2/a/blobs/uploads/ID',
  );
});
