import { expect, test } from 'bun:test';
import { digestOf, freshBytes } from './content.ts';
import { ServedRegistry } from './served-registry.ts';

const repo = 'leases/blobs';
const hour = 3_600_000;

test('promises a client that asks before a push that the blob stays for the lease', async () => {
  await using registry = await ServedRegistry.start({ 'windows.lease': '2h' });
  const digest = await registry.pushBlob(repo, freshBytes());
  const path = `/v2/${repo}/blobs/${digest}`;
  const leases = () => registry.rows('select lease_until from link');
  const asPushed = [{ lease_until: registry.clock.now() + 2 * hour }];
  expect(leases()).toEqual(asPushed);

  // With more than half of the lease left, a HEAD writes nothing; a pull never does.
  registry.clock.advance(hour);
  await registry.send(path, { method: 'HEAD' });
  expect(leases()).toEqual(asPushed);
  registry.clock.advance(1);
  await (await registry.send(path)).bytes();
  expect(leases()).toEqual(asPushed);

  expect((await registry.send(path, { method: 'HEAD' })).status).toBe(200);
  const until = registry.clock.now() + 2 * hour;
  expect(leases()).toEqual([{ lease_until: until }]);
});

test('renews the lease with every push and every mount', async () => {
  await using registry = await ServedRegistry.start({ 'windows.lease': '2h' });
  const blob = freshBytes();
  const digest = await registry.pushBlob(repo, blob);
  registry.clock.advance(hour);
  await registry.pushBlob(repo, blob);
  const renewed = registry.clock.now() + 2 * hour;
  expect(registry.rows('select lease_until from link')).toEqual([{ lease_until: renewed }]);
  registry.clock.advance(hour);
  await registry.send(`/v2/${repo}/blobs/uploads/?mount=${digest}&from=${repo}`, { method: 'POST' });
  expect(registry.rows('select lease_until from link')).toEqual([{ lease_until: renewed + hour }]);
});

test('ends the lease with the delete of a client', async () => {
  await using registry = await ServedRegistry.start({ 'windows.lease': '2h' });
  const digest = await registry.pushBlob(repo, freshBytes());
  registry.clock.advance(1000);
  const now = registry.clock.now();
  await registry.send(`/v2/${repo}/blobs/${digest}`, { method: 'DELETE' });
  expect(registry.rows('select lease_until, deleted_at from link')).toEqual([{ lease_until: now, deleted_at: now }]);
  expect(registry.rows("select due_at from task where kind = 'link'")).toEqual([{ due_at: now }]);
});

test('puts everything that a push leaves behind up for review', async () => {
  await using registry = await ServedRegistry.start({ 'windows.lease': '2h', 'windows.upload': '3h' });
  const opened = await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
  const location = opened.headers.get('location') ?? '';
  const id = location.split('/').at(-1) ?? '';
  const now = registry.clock.now();
  // Before the first byte comes, the file that will hold it has an owner (I9).
  expect(registry.rows('select u.state, o.state as object from upload u join object o on o.oid = u.oid')).toEqual([
    { state: 'open', object: 'pending' },
  ]);
  expect(registry.rows('select kind, key1, due_at from task')).toEqual([
    { kind: 'upload', key1: id, due_at: now + 3 * hour },
  ]);

  const blob = freshBytes();
  const digest = digestOf(blob);
  expect((await registry.send(`${location}?digest=${digest}`, { method: 'PUT', body: blob })).status).toBe(201);
  expect(registry.rows('select state, oid, result_digest from upload')).toEqual([
    { state: 'done', oid: null, result_digest: digest },
  ]);
  expect(registry.rows('select state, digest, size_bytes from object')).toEqual([
    { state: 'live', digest, size_bytes: blob.byteLength },
  ]);
  expect(registry.rows("select key1, key2, due_at from task where kind = 'link'")).toEqual([
    { key1: repo, key2: digest, due_at: now + 2 * hour },
  ]);
});

test('keeps one file of a blob that is pushed twice, and gives the bytes of the second back', async () => {
  await using registry = await ServedRegistry.start();
  const blob = freshBytes();
  await registry.pushBlob(repo, blob);
  await registry.pushBlob('leases/other', blob);
  await registry.stop();
  expect(await registry.objectFiles()).toEqual(
    registry.rows<{ oid: string }>('select oid from object').map(({ oid }) => oid),
  );
  expect(await registry.objectFiles()).toHaveLength(1);
});

test('puts a newly pushed copy in the place of one that is damaged on the disk', async () => {
  await using registry = await ServedRegistry.start();
  const blob = freshBytes();
  const digest = await registry.pushBlob(repo, blob);
  const [file = ''] = await registry.objectFiles();
  await Bun.write(`${registry.dataDirectory}/objects/${file.slice(0, 2)}/${file}`, 'cut');
  expect((await registry.send(`/v2/${repo}/blobs/${digest}`)).status).toBe(404);
  expect(registry.logged.join('')).toContain('damaged');

  await registry.pushBlob(repo, blob);
  const answer = await registry.send(`/v2/${repo}/blobs/${digest}`);
  expect(digestOf(await answer.bytes())).toBe(digest);
});
