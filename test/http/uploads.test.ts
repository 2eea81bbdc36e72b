import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { digestOf, freshBytes } from './content.ts';
import { expectRefusal } from './refusal.ts';
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

describe('a blob is pushed', () => {
  test('by a POST and then a PUT of all of it', async () => {
    const bytes = freshBytes(5000);
    const session = await openSession(registry);
    await expectPushed(registry, await closeSession(registry, session, digestOf(bytes), bytes), bytes);
  });

  test('by a POST and then a PUT of a stream', async () => {
    const bytes = freshBytes(50_000);
    const session = await openSession(registry);
    await expectPushed(registry, await closeSession(registry, session, digestOf(bytes), streamOf(bytes)), bytes);
  });

  test('by a POST alone', async () => {
    const bytes = freshBytes(5000);
    const uploads = `/v2/${repo}/blobs/uploads/?digest=${digestOf(bytes)}`;
    await expectPushed(registry, await registry.send(uploads, { method: 'POST', body: bytes }), bytes);
  });

  test('after a POST that names the digest without the bytes, into the session that it is given', async () => {
    const bytes = freshBytes();
    const session = await openSession(registry, `?digest=${digestOf(bytes)}`);
    await expectPushed(registry, await closeSession(registry, session, digestOf(bytes), bytes), bytes);
  });

  test('twice, and both are told that it is there', async () => {
    const bytes = freshBytes(500);
    for (const _ of ['once', 'twice']) {
      const session = await openSession(registry);
      await expectPushed(registry, await closeSession(registry, session, digestOf(bytes), bytes), bytes);
    }
  });

  test('in chunks, and a PUT without any', async () => {
    const bytes = freshBytes(300);
    let session = await openSession(registry);
    for (const first of [0, 100, 200]) {
      const chunk = bytes.slice(first, first + 100);
      const answer = await patchChunk(registry, session, chunk, `${first}-${first + 99}`);
      expect(answer.status).toBe(202);
      expect(answer.headers.get('range')).toBe(`0-${first + 99}`);
      session = sessionOf(answer);
    }
    await expectPushed(registry, await closeSession(registry, session, digestOf(bytes)), bytes);
  });

  test('in chunks, the last of them with the PUT', async () => {
    const bytes = freshBytes(300);
    const session = await openSession(registry);
    expect((await patchChunk(registry, session, bytes.slice(0, 200), '0-199')).status).toBe(202);
    const closed = await closeSession(registry, session, digestOf(bytes), bytes.slice(200), '200-299');
    await expectPushed(registry, closed, bytes);
  });

  test("in chunks whose positions are in HTTP's own form", async () => {
    const bytes = freshBytes(300);
    const session = await openSession(registry);
    expect((await patchChunk(registry, session, bytes.slice(0, 200), 'bytes 0-199/300')).status).toBe(202);
    expect((await patchChunk(registry, session, bytes.slice(200), 'bytes 200-299/*')).status).toBe(202);
    await expectPushed(registry, await closeSession(registry, session, digestOf(bytes)), bytes);
  });

  test('as a stream of unknown length, which a second one may continue', async () => {
    const bytes = freshBytes(300_000);
    const session = await openSession(registry);
    for (const end of [200_000, 300_000]) {
      const answer = await patchChunk(registry, session, streamOf(bytes.slice(end === 200_000 ? 0 : 200_000, end)));
      expect(answer.status).toBe(202);
      expect(answer.headers.get('range')).toBe(`0-${end - 1}`);
    }
    await expectPushed(registry, await closeSession(registry, session, digestOf(bytes)), bytes);
  });

  test('by sha512, whatever the session was opened for', async () => {
    for (const query of ['?digest-algorithm=sha512', '?digest-algorithm=sha256', '']) {
      const bytes = freshBytes(300);
      const session = await openSession(registry, query);
      expect((await patchChunk(registry, session, bytes.slice(0, 200))).status).toBe(202);
      const digest = digestOf(bytes, 'sha512');
      await expectPushed(registry, await closeSession(registry, session, digest, bytes.slice(200)), bytes, digest);
    }
  });

  test('by sha256 into a session that was opened for sha512', async () => {
    const bytes = freshBytes(300);
    const session = await openSession(registry, '?digest-algorithm=sha512');
    expect((await patchChunk(registry, session, bytes)).status).toBe(202);
    await expectPushed(registry, await closeSession(registry, session, digestOf(bytes)), bytes);
  });
});

describe('an upload session', () => {
  test('says how far it has come', async () => {
    const session = await openSession(registry);
    expect(await statusOf(registry, session)).toBe('204 0-0');
    await patchChunk(registry, session, freshBytes(128));
    expect(await statusOf(registry, session)).toBe('204 0-127');
    expect(sessionOf(await registry.send(session))).toBe(session);
  });

  test('gives the same answer to a closing PUT that is repeated (R30)', async () => {
    const bytes = freshBytes();
    const session = await openSession(registry);
    await patchChunk(registry, session, bytes);
    await expectPushed(registry, await closeSession(registry, session, digestOf(bytes)), bytes);
    await expectPushed(registry, await closeSession(registry, session, digestOf(bytes)), bytes);
  });

  test('is not said to have succeeded again where its blob has been deleted since', async () => {
    const bytes = freshBytes();
    const session = await openSession(registry);
    expect((await closeSession(registry, session, digestOf(bytes), bytes)).status).toBe(201);
    expect((await registry.send(`/v2/${repo}/blobs/${digestOf(bytes)}`, { method: 'DELETE' })).status).toBe(202);
    await expectRefusal(await closeSession(registry, session, digestOf(bytes), bytes), 404, 'BLOB_UPLOAD_UNKNOWN');
    expect((await registry.send(`/v2/${repo}/blobs/${digestOf(bytes)}`)).status).toBe(404);
  });

  test('renews the lease of its blob when its closing PUT is repeated (I7)', async () => {
    await using own = await ServedRegistry.start({ 'windows.lease': '1h' });
    const bytes = freshBytes();
    const session = await openSession(own);
    await closeSession(own, session, digestOf(bytes), bytes);
    own.clock.advance(50 * 60_000);
    expect((await closeSession(own, session, digestOf(bytes), bytes)).status).toBe(201);
    expect(own.rows('select lease_until from link')).toEqual([{ lease_until: own.clock.now() + 3_600_000 }]);
  });

  test('has ended with its closing PUT for every other request', async () => {
    const bytes = freshBytes();
    const session = await openSession(registry);
    await expectPushed(registry, await closeSession(registry, session, digestOf(bytes), bytes), bytes);
    const others = [
      await closeSession(registry, session, digestOf(freshBytes())),
      await patchChunk(registry, session, bytes),
      await registry.send(session),
      await registry.send(session, { method: 'DELETE' }),
    ];
    for (const other of others) await expectRefusal(other, 404, 'BLOB_UPLOAD_UNKNOWN');
    expect(await (await registry.send(`/v2/${repo}/blobs/${digestOf(bytes)}`)).bytes()).toEqual(bytes);
  });

  test('is cancelled by a DELETE, and its bytes go', async () => {
    await using own = await ServedRegistry.start();
    const session = await openSession(own);
    await patchChunk(own, session, freshBytes(1000));
    expect(await own.objectFiles()).toHaveLength(1);
    const cancelled = await own.send(session, { method: 'DELETE' });
    expect([cancelled.status, await cancelled.text()]).toEqual([204, '']);
    for (const method of ['GET', 'DELETE']) {
      await expectRefusal(await own.send(session, { method }), 404, 'BLOB_UPLOAD_UNKNOWN');
    }
    await expectRefusal(await patchChunk(own, session, freshBytes()), 404, 'BLOB_UPLOAD_UNKNOWN');
    await own.stop();
    expect(await own.objectFiles()).toEqual([]);
    expect(own.rows('select oid from object')).toEqual([]);
  });
});
