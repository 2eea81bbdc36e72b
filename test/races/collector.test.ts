import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dueNow, putAway } from '../../src/collector/queue.ts';
import { reviewObject } from '../../src/registry/review.ts';
import { digestOf, freshBytes } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { beingWritten, closeSession, openSession } from '../http/upload-client.ts';
import { forgetStoresBeside, openMetadata } from '../pairs/stores-beside.ts';
import { RawRequest } from '../server/raw-request.ts';
import { until } from '../server/until.ts';
import { atOnce, expectWhole, hour, push, remove, rounds, statusOf } from './clients.ts';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'wherry-races-'));
});

afterAll(() => {
  forgetStoresBeside(directory);
  rmSync(directory, { recursive: true });
});

test('an upload is not given up while a request writes to it, however long that takes (R32)', async () => {
  await using registry = await ServedRegistry.start({ 'windows.upload': '1h' });
  const bytes = freshBytes(2 * 1024 * 1024);
  const session = await openSession(registry);
  const headers = { 'content-length': String(bytes.byteLength) };
  const isBeingWritten = beingWritten(registry, session);
  const writer = await RawRequest.open(registry.host, 'PATCH', session, headers);
  await writer.write(bytes.slice(0, -1000));
  await until('it is being written', isBeingWritten);
  registry.clock.advance(hour);
  await registry.collected();
  await writer.write(bytes.slice(-1000));
  expect(await writer.status()).toBe(202);
  expect((await closeSession(registry, session, digestOf(bytes))).status).toBe(201);
});

test('what a database does not know that is older than its files is left alone, and what it knows is there (R39)', async () => {
  const settings = { ...atOnce, 'windows.condemned': '1h' };
  await using registry = await ServedRegistry.start(settings);
  const image = await push(registry, 'x');
  await registry.stop();
  const backup = registry.tables.keep();
  await registry.resume(settings);
  await remove(registry, 'manifests/x');
  await push(registry, 'y');
  await registry.collected();
  const files = await registry.objectFiles();
  expect(files.length).toBe(4);

  await registry.stop();
  backup.putBack();
  await registry.resume(settings);
  registry.clock.advance(2 * hour);
  await registry.collected();
  await expectWhole(registry, 'x', image);
  expect((await registry.objectFiles()).toSorted()).toEqual(files.toSorted());
});

test('what is collected is found in the rows alone: a file without one is not touched (R41)', async () => {
  await using registry = await ServedRegistry.start(atOnce);
  const stranger = '00'.repeat(16);
  await registry.objects.write(stranger, 'not from here');
  await push(registry, 'x');
  await remove(registry, 'manifests/x');
  await registry.collected();
  expect(await registry.objectFiles()).toEqual([stranger]);
});

test('a review that is asked for while it is being made is made again (R44)', async () => {
  const metadata = await openMetadata(directory);
  await metadata.write(() => reviewObject('ab', 1000));
  const [task] = await metadata.read(() => dueNow(1000, 10));
  if (task === undefined) throw new Error('there is no task');
  await metadata.write(() => reviewObject('ab', 1000));
  await metadata.write(() => putAway(task, undefined));
  const [again] = await metadata.read(() => dueNow(1000, 10));
  expect(again).toEqual({ ...task, version: task.version + 1 });
  if (again !== undefined) await metadata.write(() => putAway(again, undefined));
  expect(await metadata.read(() => dueNow(1000, 10))).toEqual([]);
  await metadata.close();
});

test('a review that fails keeps no other from being made, and is tried again, later each time (R48)', async () => {
  await using registry = await ServedRegistry.start(atOnce);
  await registry.stop();
  registry.tables.change("insert into task (kind, key1, key2, due_at) values ('link', 'NO NAME', 'no digest', 0)");
  await registry.resume(atOnce);
  await push(registry, 'x');
  await remove(registry, 'manifests/x');
  const waits: number[] = [];
  for (let attempt = 0; attempt < 4; attempt++) {
    await registry.collected();
    const [task] = registry.rows<{ due_at: number }>("select due_at from task where key1 = 'NO NAME'");
    waits.push((task?.due_at ?? 0) - registry.clock.now());
    registry.clock.advance(waits.at(-1) ?? 0);
  }
  expect(waits).toEqual([1000, 2000, 4000, 8000]);
  expect(await registry.objectFiles()).toEqual([]);
});

test('clients are answered while the collector has much to do (R49)', async () => {
  await using registry = await ServedRegistry.start({ ...atOnce, 'collector.rate': '1000' });
  for (let count = 0; count < rounds; count++) {
    await push(registry, 'x');
    await remove(registry, 'manifests/x');
  }
  const image = await push(registry, 'y');
  const work = { isOver: false };
  const collecting = registry.collected().finally(() => {
    work.isOver = true;
  });
  let answered = 0;
  while (!work.isOver) {
    await expectWhole(registry, 'y', image);
    answered++;
  }
  await collecting;
  expect(answered).toBeGreaterThan(1);
  expect(await statusOf(registry, `manifests/${image.digest}`)).toBe(200);
  expect((await registry.objectFiles()).length).toBe(2);
});
