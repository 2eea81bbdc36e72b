import { afterAll, beforeAll, expect, test } from 'bun:test';
import { RawRequest } from '../server/raw-request.ts';
import { until } from '../server/until.ts';
import { digestOf, freshBytes } from './content.ts';
import { expectRefusal } from './refusal.ts';
import { ServedRegistry } from './served-registry.ts';
import {
  beingWritten,
  closeSession,
  expectPushed,
  openSession,
  patchChunk,
  statusOf,
  streamOf,
} from './upload-client.ts';

const mebibyte = 1024 * 1024;
let registry: ServedRegistry;

beforeAll(async () => {
  registry = await ServedRegistry.start();
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
});

/** How much of a session's bytes is in its file. */
async function bytesOnDisk(session: string): Promise<number> {
  const id = session.slice(session.lastIndexOf('/') + 1);
  const [upload] = registry.rows<{ oid: string }>('select oid from upload where id = ?', id);
  return await registry.objects.sizeBytes(upload?.oid ?? '').catch(() => 0);
}

/** A PATCH that announces all of `bytes` and has sent the first `sentBytes`, of which the registry has written some. */
async function stalledPatch(session: string, bytes: Uint8Array, sentBytes: number): Promise<RawRequest> {
  const headers = { 'content-length': String(bytes.byteLength) };
  const isBeingWritten = beingWritten(registry, session);
  const request = await RawRequest.open(registry.host, 'PATCH', session, headers);
  await request.write(bytes.slice(0, sentBytes));
  await until('the stalled request is being written', isBeingWritten);
  return request;
}

test('a broken connection leaves what it brought, and the upload goes on from there', async () => {
  const bytes = freshBytes(3 * mebibyte);
  const sentBytes = 2 * mebibyte + 12_345;
  const session = await openSession(registry);
  const request = await stalledPatch(session, bytes, sentBytes);
  expect(await statusOf(registry, session)).toBe('204 0-0');
  request.destroy();
  await until('the break is noticed', async () => (await statusOf(registry, session)) !== '204 0-0');
  expect(await statusOf(registry, session)).toBe(`204 0-${sentBytes - 1}`);

  const rest = await patchChunk(registry, session, bytes.slice(sentBytes), `${sentBytes}-${bytes.byteLength - 1}`);
  expect(rest.status).toBe(202);
  await expectPushed(registry, await closeSession(registry, session, digestOf(bytes)), bytes);
});

test('a broken connection in the closing PUT leaves what it brought, too', async () => {
  const bytes = freshBytes(2 * mebibyte);
  const sentBytes = mebibyte + 500;
  const session = await openSession(registry);
  const closing = `${session}?digest=${digestOf(bytes)}`;
  const headers = { 'content-length': String(bytes.byteLength) };
  const isBeingWritten = beingWritten(registry, session);
  const request = await RawRequest.open(registry.host, 'PUT', closing, headers);
  await request.write(bytes.slice(0, sentBytes));
  await until('the request is being written', isBeingWritten);
  request.destroy();
  await until('the break is noticed', async () => (await statusOf(registry, session)) !== '204 0-0');
  expect(await statusOf(registry, session)).toBe(`204 0-${sentBytes - 1}`);
  const closed = await closeSession(registry, session, digestOf(bytes), bytes.slice(sentBytes));
  await expectPushed(registry, closed, bytes);
});

test('a session goes on after the registry has been stopped and started', async () => {
  const bytes = freshBytes(300);
  const session = await openSession(registry);
  await patchChunk(registry, session, bytes.slice(0, 200), '0-199');
  await registry.stop();
  await registry.resume();
  expect(await statusOf(registry, session)).toBe('204 0-199');
  expect((await patchChunk(registry, session, bytes.slice(200), '200-299')).status).toBe(202);
  await expectPushed(registry, await closeSession(registry, session, digestOf(bytes)), bytes);
});

test('a session whose bytes are gone, as after a power cut, begins again', async () => {
  for (const finish of [
    (session: string) => patchChunk(registry, session, freshBytes(10), '200-209'),
    (session: string) => closeSession(registry, session, digestOf(freshBytes()), freshBytes(10)),
  ]) {
    const session = await openSession(registry);
    await patchChunk(registry, session, freshBytes(200));
    const id = session.slice(session.lastIndexOf('/') + 1);
    const [upload] = registry.rows<{ oid: string }>('select oid from upload where id = ?', id);
    await registry.objects.remove(upload?.oid ?? '');
    const refusal = await expectRefusal(await finish(session), 416, 'BLOB_UPLOAD_INVALID');
    expect(refusal.detail['offset']).toBe(0);
    const bytes = freshBytes();
    await expectPushed(registry, await closeSession(registry, session, digestOf(bytes), bytes), bytes);
  }
});

test('a wrong digest is noticed in bytes that came before a restart', async () => {
  const session = await openSession(registry);
  await patchChunk(registry, session, freshBytes(200));
  await registry.stop();
  await registry.resume();
  const refused = await closeSession(registry, session, digestOf(freshBytes(200)));
  await expectRefusal(refused, 400, 'DIGEST_INVALID');
});

test('a second writer takes a session over, and no byte of the first one stays (R31)', async () => {
  const session = await openSession(registry);
  const first = await stalledPatch(session, freshBytes(3 * mebibyte), 2 * mebibyte);
  const bytes = freshBytes(2 * mebibyte + 77);
  const taken = await patchChunk(registry, session, bytes, `0-${bytes.byteLength - 1}`);
  expect([taken.status, taken.headers.get('range')]).toEqual([202, `0-${bytes.byteLength - 1}`]);
  await first.write(freshBytes(1000)).catch(() => undefined);
  expect([416, undefined]).toContain(await first.status());
  expect(await statusOf(registry, session)).toBe(`204 0-${bytes.byteLength - 1}`);
  await expectPushed(registry, await closeSession(registry, session, digestOf(bytes)), bytes);
});

test('a closing PUT takes a session over from a writer that stalls (R31)', async () => {
  const bytes = freshBytes(2 * mebibyte);
  const session = await openSession(registry);
  await patchChunk(registry, session, bytes.slice(0, 1000), '0-999');
  const first = await stalledPatch(session, freshBytes(3 * mebibyte), 2 * mebibyte);
  const closed = await closeSession(registry, session, digestOf(bytes), bytes.slice(1000));
  await expectPushed(registry, closed, bytes);
  expect([416, undefined]).toContain(await first.status());
});

test('a closing PUT without bytes publishes what was acknowledged, and nothing of the writer that it overtakes (R31)', async () => {
  const bytes = freshBytes(1000);
  const session = await openSession(registry);
  await patchChunk(registry, session, bytes);
  const overtaken = await stalledPatch(session, freshBytes(3 * mebibyte), 2 * mebibyte);
  expect(await statusOf(registry, session)).toBe('204 0-999');
  await expectPushed(registry, await closeSession(registry, session, digestOf(bytes)), bytes);
  expect([416, undefined]).toContain(await overtaken.status());
});

test('what a refused chunk has brought is no part of the upload, and does not stay on the disk (R31)', async () => {
  const bytes = freshBytes(1000);
  for (const range of ['1000-2998', '1000-3000']) {
    const session = await openSession(registry);
    await patchChunk(registry, session, bytes);
    const refused = await patchChunk(registry, session, streamOf(freshBytes(2000), 700), range);
    await expectRefusal(refused, 400, 'SIZE_INVALID');
    expect(await statusOf(registry, session)).toBe('204 0-999');
    expect(await bytesOnDisk(session)).toBe(1000);
    await expectPushed(registry, await closeSession(registry, session, digestOf(bytes)), bytes);
  }
});

test('a session stays alive as long as its writer sends, however slowly (R27)', async () => {
  const bytes = freshBytes(3 * mebibyte);
  const session = await openSession(registry);
  const id = session.slice(session.lastIndexOf('/') + 1);
  const touchedAt = () =>
    registry.rows<{ touched_at: number }>('select touched_at from upload where id = ?', id)[0]?.touched_at;
  const writer = await stalledPatch(session, bytes, 2 * mebibyte);
  const beganAt = registry.clock.now();
  expect(touchedAt()).toBe(beganAt);

  let sentBytes = 2 * mebibyte;
  for (let minute = 1; minute <= 3; minute++) {
    registry.clock.advance(60_000);
    await writer.write(bytes.slice(sentBytes, sentBytes + 1000));
    sentBytes += 1000;
    await until('the session is alive again', () => touchedAt() === beganAt + minute * 60_000);
  }
  await writer.write(bytes.slice(sentBytes));
  expect(await writer.status()).toBe(202);
  await expectPushed(registry, await closeSession(registry, session, digestOf(bytes)), bytes);
});

test('a chunk out of order does not disturb the writer at work', async () => {
  const bytes = freshBytes(3 * mebibyte);
  const session = await openSession(registry);
  const writer = await stalledPatch(session, bytes, 2 * mebibyte);
  await expectRefusal(await patchChunk(registry, session, freshBytes(10), '100-109'), 416, 'BLOB_UPLOAD_INVALID');
  await writer.write(bytes.slice(2 * mebibyte));
  expect(await writer.status()).toBe(202);
  await expectPushed(registry, await closeSession(registry, session, digestOf(bytes)), bytes);
});

test('nobody can disturb a writer from another repository, or with a request that contradicts itself', async () => {
  const bytes = freshBytes(3 * mebibyte);
  const session = await openSession(registry);
  const writer = await stalledPatch(session, bytes, 2 * mebibyte);
  const elsewhere = session.replace('team/app', 'team/other');
  expect((await registry.send(elsewhere, { method: 'DELETE' })).status).toBe(404);
  expect((await patchChunk(registry, elsewhere, freshBytes(10))).status).toBe(404);
  await expectRefusal(await patchChunk(registry, session, freshBytes(10), '0-8'), 400, 'SIZE_INVALID');
  await writer.write(bytes.slice(2 * mebibyte));
  expect(await writer.status()).toBe(202);
  await expectPushed(registry, await closeSession(registry, session, digestOf(bytes)), bytes);
});

test('of many writers that come at the same moment one wins, whole (R31)', async () => {
  for (let round = 0; round < 20; round++) {
    const session = await openSession(registry);
    const blobs = Array.from({ length: 6 }, () => freshBytes(50_000));
    const answers = await Promise.all(blobs.map((bytes) => patchChunk(registry, session, bytes, '0-49999')));
    for (const { status } of answers) expect([202, 416]).toContain(status);
    const winners = blobs.filter((_bytes, index) => answers[index]?.status === 202);
    expect(winners).toHaveLength(1);
    const [winner = new Uint8Array()] = winners;
    await expectPushed(registry, await closeSession(registry, session, digestOf(winner)), winner);
  }
});

test('a closing PUT that is sent again while the first one is still at work gets the same answer (R30)', async () => {
  const bytes = freshBytes(200_000);
  const session = await openSession(registry);
  await patchChunk(registry, session, bytes);
  const closing = await Promise.all([0, 1, 2].map(() => closeSession(registry, session, digestOf(bytes))));
  expect(closing.map(({ status }) => status)).toEqual([201, 201, 201]);
});

test('a cancelled session ends its writer, and its bytes go', async () => {
  await using own = await ServedRegistry.start();
  const session = await openSession(own);
  const headers = { 'content-length': String(3 * mebibyte) };
  const isBeingWritten = beingWritten(own, session);
  const writer = await RawRequest.open(own.host, 'PATCH', session, headers);
  await writer.write(freshBytes(2 * mebibyte));
  await until('the request is being written', isBeingWritten);
  expect((await own.send(session, { method: 'DELETE' })).status).toBe(204);
  expect([404, 416, undefined]).toContain(await writer.status());
  await own.stop();
  expect(await own.objectFiles()).toEqual([]);
});
