import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { digestOf, freshBytes } from './content.ts';
import { expectRefusal } from './refusal.ts';
import { ServedRegistry } from './served-registry.ts';

const repo = 'team/app';
// Always the same, as the digest is part of some tests' names.
const bytes = new Uint8Array(1000).map((_, position) => position % 251);
const digest = digestOf(bytes);
const etag = `"${digest}"`;
const path = `/v2/${repo}/blobs/${digest}`;
let registry: ServedRegistry;

beforeAll(async () => {
  registry = await ServedRegistry.start();
  await registry.pushBlob(repo, bytes);
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
});

function expectBlobHeaders({ headers }: Response): void {
  expect(headers.get('docker-content-digest')).toBe(digest);
  expect(headers.get('etag')).toBe(etag);
  expect(headers.get('accept-ranges')).toBe('bytes');
  expect(headers.get('content-disposition')).toBe('attachment');
  expect(headers.get('content-type')).toBe('application/octet-stream');
}

async function get(headers: Record<string, string> = {}): Promise<Response> {
  return await registry.send(path, { headers });
}

describe('a blob that is pulled whole', () => {
  test('comes byte for byte as it was pushed', async () => {
    const answer = await get();
    expect(answer.status).toBe(200);
    expectBlobHeaders(answer);
    expect(answer.headers.get('content-length')).toBe('1000');
    expect(await answer.bytes()).toEqual(bytes);
  });

  test('is described to a HEAD by the same headers and no body', async () => {
    const answer = await registry.send(path, { method: 'HEAD' });
    expect(answer.status).toBe(200);
    expectBlobHeaders(answer);
    expect(answer.headers.get('content-length')).toBe('1000');
    expect(await answer.bytes()).toHaveLength(0);
  });

  test('is described whole to a HEAD that asks for a range', async () => {
    const answer = await registry.send(path, { method: 'HEAD', headers: { range: 'bytes=0-9' } });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-length')).toBe('1000');
  });

  test('may be empty', async () => {
    const empty = new Uint8Array(0);
    const opened = await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
    const session = `${opened.headers.get('location')}?digest=${digestOf(empty)}`;
    expect((await registry.send(session, { method: 'PUT' })).status).toBe(201);
    for (const method of ['GET', 'HEAD']) {
      const answer = await registry.send(`/v2/${repo}/blobs/${digestOf(empty)}`, { method });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-length')).toBe('0');
      expect(answer.headers.get('docker-content-digest')).toBe(digestOf(empty));
      expect(await answer.bytes()).toHaveLength(0);
    }
    const range = await registry.send(`/v2/${repo}/blobs/${digestOf(empty)}`, { headers: { range: 'bytes=0-' } });
    expect(range.headers.get('content-range')).toBe('bytes */0');
    await expectRefusal(range, 416, 'SIZE_INVALID');
  });

  test('may be addressed by sha512', async () => {
    const long = freshBytes(300);
    const sha512 = digestOf(long, 'sha512');
    const uploads = `/v2/${repo}/blobs/uploads/?digest=${sha512}`;
    const pushed = await registry.send(uploads, { method: 'POST', body: long });
    expect(pushed.status).toBe(201);
    expect(pushed.headers.get('docker-content-digest')).toBe(sha512);
    const answer = await registry.send(`/v2/${repo}/blobs/${sha512}`);
    expect(answer.headers.get('docker-content-digest')).toBe(sha512);
    expect(await answer.bytes()).toEqual(long);
    // It has been pushed under this digest and no other.
    await expectRefusal(await registry.send(`/v2/${repo}/blobs/${digestOf(long)}`), 404, 'BLOB_UNKNOWN');
  });
});

describe('a range of a blob', () => {
  test.each([
    ['bytes=0-0', 0, 0],
    ['bytes=100-299', 100, 299],
    ['bytes=999-999', 999, 999],
    ['bytes=0-999', 0, 999],
    ['bytes=400-', 400, 999],
    ['bytes=-1', 999, 999],
    ['bytes=-250', 750, 999],
    ['bytes=900-5000', 900, 999],
    ['bytes=-5000', 0, 999],
    ['Bytes=10-19', 10, 19],
    ['bytes=500-18446744073709551615', 500, 999],
    ['bytes=-99999999999999999999', 0, 999],
  ])('asked for by "%s" is exactly bytes %d to %d', async (range, first, last) => {
    const answer = await get({ range });
    expect(answer.status).toBe(206);
    expectBlobHeaders(answer);
    expect(answer.headers.get('content-range')).toBe(`bytes ${first}-${last}/1000`);
    expect(answer.headers.get('content-length')).toBe(String(last - first + 1));
    expect(await answer.bytes()).toEqual(bytes.slice(first, last + 1));
  });

  test.each(['bytes=1000-', 'bytes=1000-1001', 'bytes=5-4', 'bytes=-0', 'bytes=-', 'bytes=a-b', 'bytes=1.5-2'])(
    'asked for by "%s" is refused with the length of the blob',
    async (range) => {
      const answer = await get({ range });
      expect(answer.headers.get('content-range')).toBe('bytes */1000');
      const refusal = await expectRefusal(answer, 416, 'SIZE_INVALID');
      expect(refusal.detail).toEqual({ digest, sizeBytes: 1000 });
    },
  );

  test.each(['bytes=0-1,4-5', 'items=0-1', 'nonsense'])('asked for by "%s" is the whole blob', async (range) => {
    const answer = await get({ range });
    expect(answer.status).toBe(200);
    expect(answer.headers.has('content-range')).toBe(false);
    expect(await answer.bytes()).toEqual(bytes);
  });

  test('is sent for an If-Range of this blob, and the whole for any other', async () => {
    const range = 'bytes=0-9';
    const part = await get({ range, 'if-range': etag });
    expect(part.status).toBe(206);
    expect(await part.bytes()).toEqual(bytes.slice(0, 10));
    const refused = await get({ range: 'bytes=-0', 'if-range': '' });
    await expectRefusal(refused, 416, 'SIZE_INVALID');
    // A weak tag never matches here, nor does a date (RFC 9110, 13.1.5).
    for (const other of ['"other"', `W/${etag}`, 'Tue, 01 Jan 2030 00:00:00 GMT']) {
      const whole = await get({ range, 'if-range': other });
      expect(whole.status).toBe(200);
      expect(await whole.bytes()).toEqual(bytes);
    }
  });
});

describe('a client that has the blob already', () => {
  test.each([etag, `W/${etag}`, `"other", ${etag}`, `"other",W/${etag}`, '*'])(
    'is told so for If-None-Match %s',
    async (condition) => {
      for (const method of ['GET', 'HEAD']) {
        const answer = await registry.send(path, { method, headers: { 'if-none-match': condition } });
        expect(answer.status).toBe(304);
        expect(answer.headers.get('etag')).toBe(etag);
        expect(await answer.bytes()).toHaveLength(0);
      }
    },
  );

  test.each(['"other"', digest, `"${digest}x"`])('is sent the blob for If-None-Match %s', async (condition) => {
    const head = await registry.send(path, { method: 'HEAD', headers: { 'if-none-match': condition } });
    expect(head.status).toBe(200);
    const answer = await get({ 'if-none-match': condition });
    expect(answer.status).toBe(200);
    expect(await answer.bytes()).toEqual(bytes);
  });

  test('is told so before its range is looked at', async () => {
    expect((await get({ 'if-none-match': etag, range: 'bytes=5000-' })).status).toBe(304);
  });
});

describe('a blob that is not there', () => {
  test('is refused by its digest and repository', async () => {
    const unknown = digestOf(freshBytes());
    const refusal = await expectRefusal(await registry.send(`/v2/${repo}/blobs/${unknown}`), 404, 'BLOB_UNKNOWN');
    expect(refusal.detail).toEqual({ repository: repo, digest: unknown });
    expect((await registry.send(`/v2/${repo}/blobs/${unknown}`, { method: 'HEAD' })).status).toBe(404);
  });

  test('is not seen through another repository, known or unknown', async () => {
    await registry.pushBlob('team/other', freshBytes());
    for (const other of ['team/other', 'team', 'team/app/more', 'nobody']) {
      await expectRefusal(await registry.send(`/v2/${other}/blobs/${digest}`), 404, 'BLOB_UNKNOWN');
      expect((await registry.send(`/v2/${other}/blobs/${digest}`, { method: 'HEAD' })).status).toBe(404);
    }
  });

  const hex = digest.slice('sha256:'.length);
  test.each([
    'latest',
    hex,
    `sha256:${hex.slice(1)}`,
    `sha256:${hex}0`,
    `sha256:${hex.slice(0, -1)}G`,
    `sha256:${hex.toUpperCase()}`,
    `SHA256:${hex}`,
    `sha512:${hex}`,
    `md5:${hex.slice(0, 32)}`,
    `sha256%3A${hex.slice(1)}`,
  ])('is refused as malformed where its digest is "%s"', async (text) => {
    const url = `/v2/${repo}/blobs/${text}`;
    const refusal = await expectRefusal(await registry.send(url), 400, 'DIGEST_INVALID');
    expect(refusal.detail).toEqual({ digest: decodeURIComponent(text) });
    expect((await registry.send(url, { method: 'HEAD' })).status).toBe(400);
    await expectRefusal(await registry.send(url, { method: 'DELETE' }), 400, 'DIGEST_INVALID');
  });
});
