import { expect, test } from 'bun:test';
import { digestOf, freshBytes, imageOf } from '../http/content.ts';
import { testedBucket, testedPostgres } from '../pairs/pair.ts';
import { HeldDisk } from '../http/held-disk.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { atOnce, expectWhole, hour, imageWith, push, remove, repo, rounds, statusOf } from './clients.ts';

test('a client that was told that a blob is there pushes its manifest after the collector has been there (R1)', async () => {
  await using registry = await ServedRegistry.start({ ...atOnce, 'windows.lease': '1h' });
  const layer = freshBytes();
  const digest = await registry.pushBlob(repo, layer);
  registry.clock.advance(hour - 1);
  expect(await statusOf(registry, `blobs/${digest}`, 'HEAD')).toBe(200);
  registry.clock.advance(hour - 1);
  await registry.collected();
  const image = imageWith(layer);
  await push(registry, 'x', image);
  await expectWhole(registry, 'x', image);
});

test('a manifest is refused or has all of its blobs, whoever deletes one at the same moment (R2)', async () => {
  await using registry = await ServedRegistry.start(atOnce);
  for (let round = 0; round < rounds; round++) {
    const image = imageWith(freshBytes());
    const [config = '', layer = ''] = image.parts.map((part) => digestOf(part));
    for (const part of image.parts) await registry.pushBlob(repo, part);
    const [put] = await Promise.all([
      registry.putManifest(repo, `r${round}`, image.manifest),
      remove(registry, `blobs/${round % 2 === 0 ? layer : config}`),
      registry.collected(),
    ]);
    await registry.collected();
    if (put.status === 201) await expectWhole(registry, `r${round}`, image);
    else expect(await statusOf(registry, `manifests/r${round}`)).toBe(404);
  }
});

test('a blob that came to be needed since its review was due stays (R3)', async () => {
  await using registry = await ServedRegistry.start(atOnce);
  const image = imageWith(freshBytes());
  for (const part of image.parts) await registry.pushBlob(repo, part);
  const due = registry.rows("select 1 from task where kind = 'link' and due_at <= ?", registry.clock.now());
  expect(due.length).toBe(2);
  expect((await registry.putManifest(repo, 'x', image.manifest)).status).toBe(201);
  await registry.collected();
  await expectWhole(registry, 'x', image);
});

test('bytes go once it is on the disk that they may (R4, R35), and their row goes last (R34)', async () => {
  const disk = new HeldDisk();
  await using registry = await ServedRegistry.start(atOnce, disk.syncs);
  await registry.pushBlob(repo, freshBytes());
  const state = () => registry.rows<{ state: string }>('select state from object').map((row) => row.state);
  disk.hold();
  const collecting = registry.collected();
  const steps: unknown[] = [];
  for (let step = 0; step < 3; step++) {
    const waiting = await disk.waiting();
    steps.push([...waiting, ...state(), (await registry.objectFiles()).length]);
    disk.release();
  }
  disk.letGo();
  await collecting;
  expect(steps).toEqual([
    // A database that others use shows nothing before that.
    ['log', testedPostgres === undefined ? 'dead' : 'live', 1],
    // The number that ties the database to its blobs moves before the first bytes go (R39).
    ['log', 'dead', 1],
    testedBucket === undefined ? ['shard', 'dead', 0] : ['object', 'dead', 1],
  ]);
  expect(state()).toEqual([]);
});

test('a push of what is being removed brings bytes of its own (R6)', async () => {
  const disk = new HeldDisk();
  await using registry = await ServedRegistry.start({ ...atOnce, 'windows.lease': '1h' }, disk.syncs);
  const bytes = freshBytes();
  const digest = await registry.pushBlob(repo, bytes);
  registry.clock.advance(hour);
  disk.hold();
  const collecting = registry.collected();
  await disk.waiting();
  const pushing = registry.pushBlob(repo, bytes);
  disk.letGo();
  await Promise.all([collecting, pushing]);
  await registry.collected();
  expect(await (await registry.send(`/v2/${repo}/blobs/${digest}`)).bytes()).toEqual(bytes);
});

test('a mounted blob stays for who mounted it, though its source lets go of it (R8)', async () => {
  await using registry = await ServedRegistry.start({ ...atOnce, 'windows.lease': '1h' });
  const bytes = freshBytes();
  const digest = await registry.pushBlob('other', bytes);
  registry.clock.advance(hour - 1);
  const path = `/v2/${repo}/blobs/uploads/?mount=${digest}&from=other`;
  expect((await registry.send(path, { method: 'POST' })).status).toBe(201);
  registry.clock.advance(1);
  await registry.collected();
  expect((await registry.send(`/v2/other/blobs/${digest}`)).status).toBe(404);
  expect((await registry.putManifest(repo, 'x', imageOf(bytes))).status).toBe(201);
});

test('a mount while the source goes is refused, or is there (R8)', async () => {
  await using registry = await ServedRegistry.start({ ...atOnce, 'windows.lease': '1h' });
  for (let round = 0; round < rounds; round++) {
    const digest = await registry.pushBlob('other', freshBytes());
    registry.clock.advance(hour);
    const path = `/v2/${repo}/blobs/uploads/?mount=${digest}&from=other`;
    const [mounted] = await Promise.all([registry.send(path, { method: 'POST' }), registry.collected()]);
    expect(await statusOf(registry, `blobs/${digest}`)).toBe(mounted.status === 201 ? 200 : 404);
  }
});

test('a blob that is gone is gone for everybody at once, and is taken when it is pushed again (R9)', async () => {
  await using registry = await ServedRegistry.start(atOnce);
  const bytes = freshBytes();
  const digest = await registry.pushBlob(repo, bytes);
  expect(await statusOf(registry, `blobs/${digest}`, 'HEAD')).toBe(200);
  await registry.collected();
  expect(await statusOf(registry, `blobs/${digest}`, 'HEAD')).toBe(404);
  expect(await statusOf(registry, `blobs/${digest}`)).toBe(404);
  const path = `/v2/other/blobs/uploads/?mount=${digest}`;
  expect((await registry.send(path, { method: 'POST' })).status).toBe(202);
  expect((await registry.putManifest(repo, 'x', imageOf(bytes))).status).toBe(404);
  await registry.pushBlob(repo, bytes);
  expect((await registry.putManifest(repo, 'x', imageOf(bytes))).status).toBe(201);
  await registry.collected();
  expect(await (await registry.send(`/v2/${repo}/blobs/${digest}`)).bytes()).toEqual(bytes);
});

test('a blob that many push for the first time at once is accepted from each, and kept once (R10)', async () => {
  await using registry = await ServedRegistry.start();
  const bytes = freshBytes();
  await Promise.all(Array.from({ length: 10 }, async (_, pusher) => await registry.pushBlob(`team/${pusher}`, bytes)));
  await registry.collected();
  expect(registry.rows("select state from object where state = 'live'").length).toBe(1);
  expect(registry.rows('select repo from link').length).toBe(10);
  expect((await registry.objectFiles()).length).toBe(1);
});
