import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { RawRequest } from '../server/raw-request.ts';
import { until } from '../server/until.ts';
import { digestOf, freshBytes } from './content.ts';
import { expectRefusal } from './refusal.ts';
import { testedBucket } from '../pairs/pair.ts';
import { ServedRegistry } from './served-registry.ts';
import {
  closeSession,
  expectPushed,
  openSession,
  patchChunk,
  repo,
  sessionOf,
  statusOf,
  streamOf,
} from './upload-client.ts';

let registry: ServedRegistry;

beforeAll(async () => {
  registry = await ServedRegistry.start();
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
});

function idOf(session: string): string {
  return session.slice(session.lastIndexOf('/') + 1);
}

describe('an upload session refuses, and goes on where it stood after,', () => {
  test('a chunk that is out of order', async () => {
    const bytes = freshBytes(300);
    const session = await openSession(registry);
    await patchChunk(registry, session, bytes.slice(0, 100), '0-99');
    for (const range of ['0-99', '99-198', '101-200', '200-299', `${'9'.repeat(20)}-${'9'.repeat(21)}`]) {
      const refused = await patchChunk(registry, session, freshBytes(100), range);
      expect(sessionOf(refused)).toBe(session);
      expect(refused.headers.get('range')).toBe('0-99');
      const refusal = await expectRefusal(refused, 416, 'BLOB_UPLOAD_INVALID');
      expect(refusal.detail).toEqual({ upload: idOf(session), offset: 100 });
      expect(await statusOf(registry, session)).toBe('204 0-99');
    }
    const early = await closeSession(registry, session, digestOf(bytes), bytes.slice(200), '200-299');
    await expectRefusal(early, 416, 'BLOB_UPLOAD_INVALID');
    expect((await patchChunk(registry, session, bytes.slice(100, 200), '100-199')).status).toBe(202);
    const closed = await closeSession(registry, session, digestOf(bytes), bytes.slice(200), '200-299');
    await expectPushed(registry, closed, bytes);
  });

  test('a first chunk that does not begin at byte 0', async () => {
    const bytes = freshBytes(10);
    const session = await openSession(registry);
    const refused = await patchChunk(registry, session, bytes, '1-10');
    expect(refused.headers.get('range')).toBe('0-0');
    await expectRefusal(refused, 416, 'BLOB_UPLOAD_INVALID');
    await expectPushed(registry, await closeSession(registry, session, digestOf(bytes), bytes, '0-9'), bytes);
  });

  test('a chunk whose Content-Range is malformed', async () => {
    const bytes = freshBytes(10);
    const digest = digestOf(bytes);
    const session = await openSession(registry);
    for (const range of ['10', '-9', '0-', '9-0', 'a-b', '0-9,10-19', 'bytes=', 'items 0-9']) {
      const refusal = await expectRefusal(
        await patchChunk(registry, session, bytes, range),
        400,
        'BLOB_UPLOAD_INVALID',
      );
      expect(refusal.detail).toEqual({ 'content-range': range });
      await expectRefusal(await closeSession(registry, session, digest, bytes, range), 400, 'BLOB_UPLOAD_INVALID');
    }
    await expectPushed(registry, await closeSession(registry, session, digest, bytes, '0-9'), bytes);
  });

  test('a chunk whose Content-Range and Content-Length differ', async () => {
    const bytes = freshBytes(30);
    const session = await openSession(registry);
    await patchChunk(registry, session, bytes.slice(0, 20));
    const chunk = bytes.slice(20);
    for (const [range, expected] of [
      ['20-28', 9],
      ['20-30', 11],
    ] as const) {
      const patched = await patchChunk(registry, session, chunk, range);
      const refusal = await expectRefusal(patched, 400, 'SIZE_INVALID');
      expect(refusal.detail).toEqual({ upload: idOf(session), expected, received: 10 });
      await expectRefusal(await closeSession(registry, session, digestOf(bytes), chunk, range), 400, 'SIZE_INVALID');
      expect(await statusOf(registry, session)).toBe('204 0-19');
    }
    await expectPushed(registry, await closeSession(registry, session, digestOf(bytes), chunk, '20-29'), bytes);
  });

  test('a stream that is shorter or longer than its Content-Range', async () => {
    const bytes = freshBytes(30_000);
    const session = await openSession(registry);
    await patchChunk(registry, session, bytes.slice(0, 10_000));
    for (const range of ['10000-29998', '10000-30000']) {
      await expectRefusal(
        await patchChunk(registry, session, streamOf(bytes.slice(10_000)), range),
        400,
        'SIZE_INVALID',
      );
      expect(await statusOf(registry, session)).toBe('204 0-9999');
    }
    const closed = await closeSession(registry, session, digestOf(bytes), streamOf(bytes.slice(10_000)), '10000-29999');
    await expectPushed(registry, closed, bytes);
  });

  test('a closing PUT without a digest, or with a malformed one', async () => {
    const bytes = freshBytes();
    const session = await openSession(registry);
    await patchChunk(registry, session, bytes);
    for (const query of [
      '',
      '?digest=',
      '?digest=latest',
      `?digest=${digestOf(bytes).slice(0, -1)}`,
      '?digest=md5:00',
    ]) {
      const refused = await registry.send(session + query, { method: 'PUT' });
      const { detail } = await expectRefusal(refused, 400, 'DIGEST_INVALID');
      const digest = new URLSearchParams(query).get('digest');
      expect(detail).toEqual(digest === null ? { upload: idOf(session), missing: 'digest' } : { digest });
      expect(await statusOf(registry, session)).toBe('204 0-99');
    }
    await expectPushed(registry, await closeSession(registry, session, digestOf(bytes)), bytes);
  });
});

describe('bytes that are not what their digest says', () => {
  const pushes: readonly [string, (own: ServedRegistry, bytes: Uint8Array, claimed: string) => Promise<Response>][] = [
    [
      'in the closing PUT',
      async (own, bytes, claimed) => await closeSession(own, await openSession(own), claimed, bytes),
    ],
    [
      'in a chunk before it',
      async (own, bytes, claimed) => {
        const session = await openSession(own);
        await patchChunk(own, session, bytes);
        return await closeSession(own, session, claimed);
      },
    ],
    [
      'in a POST alone',
      async (own, body, claimed) =>
        await own.send(`/v2/${repo}/blobs/uploads/?digest=${claimed}`, { method: 'POST', body }),
    ],
  ];

  test.each(pushes)('are refused %s, and are not kept (R33)', async (_, push) => {
    await using own = await ServedRegistry.start();
    const bytes = freshBytes();
    const claimed = digestOf(freshBytes());
    const refusal = await expectRefusal(await push(own, bytes, claimed), 400, 'DIGEST_INVALID');
    expect(refusal.detail).toEqual({ expected: claimed, actual: digestOf(bytes), sizeBytes: 100 });
    for (const digest of [claimed, digestOf(bytes)]) {
      await expectRefusal(await own.send(`/v2/${repo}/blobs/${digest}`), 404, 'BLOB_UNKNOWN');
    }
    expect(own.rows('select id from upload')).toEqual([]);
    await own.stop();
    expect(await own.objectFiles()).toEqual([]);
  });

  test('end the session that they came through', async () => {
    const session = await openSession(registry);
    const refused = await closeSession(registry, session, digestOf(freshBytes()), freshBytes());
    await expectRefusal(refused, 400, 'DIGEST_INVALID');
    await expectRefusal(await registry.send(session), 404, 'BLOB_UPLOAD_UNKNOWN');
    const again = await closeSession(registry, session, digestOf(freshBytes()), freshBytes());
    await expectRefusal(again, 404, 'BLOB_UPLOAD_UNKNOWN');
  });
});

describe('a POST of a whole blob that fails leaves no session and no bytes', () => {
  async function expectNothingLeft(own: ServedRegistry): Promise<void> {
    await until('the session is gone', () => own.rows('select id from upload').length === 0);
    await own.stop();
    expect(await own.objectFiles()).toEqual([]);
    expect(own.rows('select oid from object')).toEqual([]);
  }

  test('where its client goes away', async () => {
    await using own = await ServedRegistry.start();
    const bytes = freshBytes(3_000_000);
    const path = `/v2/${repo}/blobs/uploads/?digest=${digestOf(bytes)}`;
    const request = await RawRequest.open(own.host, 'POST', path, { 'content-length': String(bytes.byteLength) });
    await request.write(bytes.slice(0, 2_000_000));
    // In a bucket, nothing is seen of it before it is whole.
    const names = async () =>
      testedBucket === undefined ? await own.objectFiles() : own.rows('select id from upload where epoch > 0');
    await until('it is being written', async () => (await names()).length > 0);
    request.destroy();
    await expectNothingLeft(own);
  });

  test.each([
    ['0-9998', 400, 'SIZE_INVALID'],
    ['0-10000', 400, 'SIZE_INVALID'],
    ['1-10000', 416, 'BLOB_UPLOAD_INVALID'],
  ])('where its bytes are not those of its Content-Range, %s', async (range, status, code) => {
    await using own = await ServedRegistry.start();
    const bytes = freshBytes(10_000);
    const refused = await own.send(`/v2/${repo}/blobs/uploads/?digest=${digestOf(bytes)}`, {
      method: 'POST',
      body: streamOf(bytes),
      headers: { 'content-range': range },
    });
    expect(refused.headers.get('location')).toBeNull();
    await expectRefusal(refused, status, code);
    await expectNothingLeft(own);
  });
});

describe('a session is unknown', () => {
  async function expectUnknown(session: string): Promise<void> {
    const bytes = freshBytes();
    const answers = [
      await registry.send(session),
      await patchChunk(registry, session, bytes, '0-99'),
      await closeSession(registry, session, digestOf(bytes), bytes),
      await registry.send(session, { method: 'DELETE' }),
    ];
    for (const each of answers) {
      const refusal = await expectRefusal(each, 404, 'BLOB_UPLOAD_UNKNOWN');
      expect(refusal.detail).toEqual({ upload: idOf(session) });
    }
  }

  test('that nobody has opened', async () => {
    await expectUnknown(`/v2/${repo}/blobs/uploads/0198c0de-0000-7000-8000-000000000000`);
    await expectUnknown(`/v2/${repo}/blobs/uploads/x`);
  });

  test('to every repository but its own', async () => {
    const bytes = freshBytes();
    const session = await openSession(registry);
    await expectUnknown(session.replace(`/${repo}/`, '/team/other/'));
    await expectPushed(registry, await closeSession(registry, session, digestOf(bytes), bytes), bytes);
  });
});

describe('an upload is not begun', () => {
  test.each(['sha384', 'SHA256', 'md5', ''])('for the digest algorithm "%s"', async (algorithm) => {
    const answer = await registry.send(`/v2/${repo}/blobs/uploads/?digest-algorithm=${algorithm}`, { method: 'POST' });
    const refusal = await expectRefusal(answer, 400, 'DIGEST_INVALID');
    expect(refusal.detail).toEqual({ 'digest-algorithm': algorithm });
  });

  test('for a POST of bytes with a malformed digest', async () => {
    const init = { method: 'POST', body: freshBytes() };
    const answer = await registry.send(`/v2/${repo}/blobs/uploads/?digest=sha256:short`, init);
    await expectRefusal(answer, 400, 'DIGEST_INVALID');
  });

  test.each(['Team', 'team//app', 'team/', '-team', 'team/app-', 'te%20am', 'team/_app', 'a'.repeat(256)])(
    'in a repository of the name "%s"',
    async (name) => {
      const answer = await registry.send(`/v2/${name}/blobs/uploads/`, { method: 'POST' });
      const refusal = await expectRefusal(answer, 400, 'NAME_INVALID');
      expect(refusal.detail).toEqual({ name: decodeURIComponent(name) });
    },
  );
});
