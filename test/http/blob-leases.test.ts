import { afterAll, beforeAll, expect, test } from 'bun:test';
import { RawRequest } from '../server/raw-request.ts';
import { until } from '../server/until.ts';
import { digestOf, freshBytes, imageOf } from './content.ts';
import { ServedRegistry } from './served-registry.ts';
import { beingWritten, closeSession, openSession, patchChunk, repo } from './upload-client.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const leaseMs = 2 * hourMs;
let registry: ServedRegistry;

beforeAll(async () => {
  registry = await ServedRegistry.start({ 'windows.lease': '2h', 'windows.upload': '10h' });
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
});

interface Task {
  readonly due_at: number;
  readonly version: number;
}

function leaseOf(digest: string, of = repo): number | undefined {
  const sql = 'select lease_until from link where repo = ? and digest = ? and deleted_at is null';
  return registry.rows<{ lease_until: number }>(sql, of, digest)[0]?.lease_until;
}

/** When something is to be looked at, and how often that was said after the first time. */
function taskOf(kind: string, key1: string, key2 = ''): Task | undefined {
  const sql = 'select due_at, version from task where kind = ? and key1 = ? and key2 = ?';
  return registry.rows<Task>(sql, kind, key1, key2)[0];
}

async function head(digest: string, from = repo): Promise<number> {
  return (await registry.send(`/v2/${from}/blobs/${digest}`, { method: 'HEAD' })).status;
}

test('a pushed blob is protected for the length of a lease, and looked at when it ends', async () => {
  const bytes = freshBytes();
  const session = await openSession(registry);
  await patchChunk(registry, session, bytes);
  registry.clock.advance(5 * minuteMs);
  expect((await closeSession(registry, session, digestOf(bytes))).status).toBe(201);
  const leaseUntil = registry.clock.now() + leaseMs;
  expect(leaseOf(digestOf(bytes))).toBe(leaseUntil);
  expect(taskOf('link', repo, digestOf(bytes))).toEqual({ due_at: leaseUntil, version: 0 });
});

test('a blob that is pushed again is protected anew', async () => {
  const bytes = freshBytes();
  const digest = await registry.pushBlob(repo, bytes);
  const firstLease = registry.clock.now() + leaseMs;
  registry.clock.advance(10 * minuteMs);
  await registry.pushBlob(repo, bytes);
  expect(leaseOf(digest)).toBe(registry.clock.now() + leaseMs);
  // Looking too early does no harm, looking too late would be a leak.
  expect(taskOf('link', repo, digest)).toEqual({ due_at: firstLease, version: 1 });
});

test('a mounted blob is protected from its mount on', async () => {
  const digest = await registry.pushBlob(repo, freshBytes());
  const sourceLease = leaseOf(digest);
  registry.clock.advance(10 * minuteMs);
  const mount = `/v2/team/mounted/blobs/uploads/?mount=${digest}&from=${repo}`;
  expect((await registry.send(mount, { method: 'POST' })).status).toBe(201);
  const leaseUntil = registry.clock.now() + leaseMs;
  expect(leaseOf(digest, 'team/mounted')).toBe(leaseUntil);
  expect(taskOf('link', 'team/mounted', digest)).toEqual({ due_at: leaseUntil, version: 0 });
  expect(leaseOf(digest)).toBe(sourceLease);
});

test('a HEAD writes nothing while half of the lease is left', async () => {
  const digest = await registry.pushBlob(repo, freshBytes());
  const before = [leaseOf(digest), taskOf('link', repo, digest)];
  for (const minutes of [0, 59, 1]) {
    registry.clock.advance(minutes * minuteMs);
    expect(await head(digest)).toBe(200);
    expect([leaseOf(digest), taskOf('link', repo, digest)]).toEqual(before);
  }
});

test('a HEAD renews a lease of which less than half is left', async () => {
  const digest = await registry.pushBlob(repo, freshBytes());
  const firstLease = registry.clock.now() + leaseMs;
  registry.clock.advance(hourMs + 1);
  expect(await head(digest)).toBe(200);
  expect(leaseOf(digest)).toBe(registry.clock.now() + leaseMs);
  expect(taskOf('link', repo, digest)).toEqual({ due_at: firstLease, version: 1 });
});

test('a HEAD that is told by 304 that the blob is there may build on it like any other', async () => {
  const digest = await registry.pushBlob(repo, freshBytes());
  registry.clock.advance(hourMs + 1);
  const headers = { 'if-none-match': `"${digest}"` };
  expect((await registry.send(`/v2/${repo}/blobs/${digest}`, { method: 'HEAD', headers })).status).toBe(304);
  expect(leaseOf(digest)).toBe(registry.clock.now() + leaseMs);
});

test('a HEAD renews a lease that has ended, where an image has kept the blob', async () => {
  const config = freshBytes();
  const digest = await registry.pushBlob(repo, config);
  expect((await registry.putManifest(repo, 'latest', imageOf(config))).status).toBe(201);
  registry.clock.advance(3 * leaseMs);
  expect(await head(digest)).toBe(200);
  expect(leaseOf(digest)).toBe(registry.clock.now() + leaseMs);
});

test("a HEAD renews the lease of its own repository's blob only", async () => {
  const bytes = freshBytes();
  const digest = await registry.pushBlob(repo, bytes);
  await registry.pushBlob('team/other', bytes);
  const before = leaseOf(digest);
  registry.clock.advance(90 * minuteMs);
  expect(await head(digest, 'team/other')).toBe(200);
  expect(leaseOf(digest, 'team/other')).toBe(registry.clock.now() + leaseMs);
  expect(leaseOf(digest)).toBe(before);
});

test('a GET renews nothing', async () => {
  const digest = await registry.pushBlob(repo, freshBytes());
  const before = [leaseOf(digest), taskOf('link', repo, digest)];
  for (const headers of [{}, { range: 'bytes=0-9' }, { 'if-none-match': `"${digest}"` }]) {
    registry.clock.advance(39 * minuteMs);
    await (await registry.send(`/v2/${repo}/blobs/${digest}`, { headers })).bytes();
    expect([leaseOf(digest), taskOf('link', repo, digest)]).toEqual(before);
  }
});

test('a deletion ends the lease at once, and the blob is looked at then', async () => {
  const digest = await registry.pushBlob(repo, freshBytes());
  registry.clock.advance(minuteMs);
  expect((await registry.send(`/v2/${repo}/blobs/${digest}`, { method: 'DELETE' })).status).toBe(202);
  const now = registry.clock.now();
  expect(await head(digest)).toBe(404);
  const sql = 'select lease_until, deleted_at from link where repo = ? and digest = ?';
  expect(registry.rows(sql, repo, digest)).toEqual([{ lease_until: now, deleted_at: now }]);
  expect(taskOf('link', repo, digest)).toEqual({ due_at: now, version: 1 });
});

function idOf(session: string): string {
  return session.slice(session.lastIndexOf('/') + 1);
}

interface Upload {
  readonly oid: string | null;
  readonly state: string;
  readonly offset_bytes: number;
  readonly result_digest: string | null;
  readonly touched_at: number;
}

function uploadOf(session: string): Upload | undefined {
  const sql = 'select oid, state, offset_bytes, result_digest, touched_at from upload where id = ?';
  return registry.rows<Upload>(sql, idOf(session))[0];
}

test('a new upload is on record, with its object, before the first byte comes (R29)', async () => {
  const session = await openSession(registry);
  const upload = uploadOf(session);
  const oid = upload?.oid ?? '';
  expect(upload).toMatchObject({ state: 'open', offset_bytes: 0, result_digest: null });
  const objects = registry.rows('select state, digest from object where oid = ?', oid);
  expect(objects).toEqual([{ state: 'pending', digest: null }]);
  expect(taskOf('upload', idOf(session))).toEqual({ due_at: registry.clock.now() + hourMs, version: 0 });
  expect(await registry.objectFiles()).not.toContain(oid);
  await patchChunk(registry, session, freshBytes());
  expect(await registry.objectFiles()).toContain(oid);
});

test('a chunk tells that its session is alive', async () => {
  const session = await openSession(registry);
  registry.clock.advance(minuteMs);
  await patchChunk(registry, session, freshBytes(100));
  expect(uploadOf(session)).toMatchObject({ offset_bytes: 100, touched_at: registry.clock.now() });
});

test('a closed upload is remembered as done, for an hour at least', async () => {
  const bytes = freshBytes();
  const session = await openSession(registry);
  const oid = uploadOf(session)?.oid ?? null;
  registry.clock.advance(minuteMs);
  expect((await closeSession(registry, session, digestOf(bytes), bytes)).status).toBe(201);
  const doneAt = registry.clock.now();
  expect(uploadOf(session)).toMatchObject({ oid: null, state: 'done', result_digest: digestOf(bytes) });
  // The review that was due an hour after the opening sees that it is done, and since when.
  expect(uploadOf(session)?.touched_at).toBe(doneAt);
  expect(taskOf('upload', idOf(session))?.due_at).toBe(doneAt - minuteMs + hourMs);
  const objects = registry.rows('select state, digest, size_bytes from object where oid = ?', oid);
  expect(objects).toEqual([{ state: 'live', digest: digestOf(bytes), size_bytes: 100 }]);
});

test('windows of which a quarter is no whole number of milliseconds are as good as others', async () => {
  await using own = await ServedRegistry.start({ 'windows.lease': '1001ms', 'windows.upload': '1001ms' });
  const digest = await own.pushBlob(repo, freshBytes());
  const session = await openSession(own);
  const headers = { 'content-length': '2000000' };
  const isBeingWritten = beingWritten(own, session);
  const writer = await RawRequest.open(own.host, 'PATCH', session, headers);
  await writer.write(freshBytes(1_500_000));
  await until('the request is being written', isBeingWritten);
  own.clock.advance(1002);
  await own.collected();
  const due = (kind: string) => own.rows<{ due_at: number }>('select due_at from task where kind = ?', kind);
  expect(due('link')).toEqual([{ due_at: own.clock.now() + 250 }]);
  for (const { due_at: dueAt } of due('upload')) expect(dueAt).toBeInteger();
  expect((await own.send(`/v2/${repo}/blobs/${digest}`, { method: 'HEAD' })).status).toBe(200);
  expect(own.logged).toEqual([]);
  writer.destroy();
});
