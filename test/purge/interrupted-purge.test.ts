import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { freshBytes } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { until } from '../server/until.ts';
import { oidsOf, purge, recordOf, shreddedObjects } from './purge-outcomes.ts';
import { SlowReader } from './slow-reader.ts';
import { StubbornDisk } from './stubborn-disk.ts';

setDefaultTimeout(60_000);

const repo = 'team/app';

describe('a purge that the disk keeps from its end', () => {
  test('removes all that can be removed, says why it is not finished, and is when it is tried again', async () => {
    const disk = new StubbornDisk();
    await using registry = await ServedRegistry.start({}, disk.syncs);
    const digests = await Promise.all([1, 2, 3].map(async () => await registry.pushBlob(repo, freshBytes())));
    const [kept = ''] = oidsOf(registry);
    disk.keeps = (oid) => oid === kept;
    const first = await purge(registry, { digests });
    expect([first.removedAt, first.checkedAt, first.isClean]).toEqual([undefined, undefined, undefined]);
    expect(first.waitsFor).toContain('EIO');
    expect(await registry.objectFiles()).toEqual([kept]);
    disk.keeps = () => false;
    await registry.stop();
    await registry.resume();
    const last = await recordOf(registry);
    expect([last.isClean, last.waitsFor]).toEqual([true, undefined]);
    expect(await registry.objectFiles()).toEqual([]);
  });

  test('keeps how many downloads it has broken off, and says that there may have been more', async () => {
    const disk = new StubbornDisk();
    await using registry = await ServedRegistry.start({}, disk.syncs);
    const secret = await registry.pushBlob(repo, freshBytes(48 * 1024 * 1024));
    using download = new SlowReader(registry, `/v2/${repo}/blobs/${secret}`);
    await until('it has got something', () => download.receivedBytes > 0);
    disk.keeps = () => true;
    await purge(registry, { digests: [secret] });
    disk.keeps = () => false;
    await registry.stop();
    await registry.resume();
    expect(await recordOf(registry)).toMatchObject({ isClean: true, responsesCut: 1, isCutAtLeast: true });
  });
});

test('what came of overwriting is told of each object as it was the first time, where the purge was interrupted after that', async () => {
  const disk = new StubbornDisk();
  await using registry = await ServedRegistry.start({}, disk.syncs);
  const secret = await registry.pushBlob(repo, freshBytes());
  const [oid = ''] = oidsOf(registry);
  disk.keeps = () => true;
  await purge(registry, { digests: [secret], shred: true });
  const first = (await shreddedObjects(registry)).get(oid);
  expect(first).toMatch(/^(overwritten|not-overwritten): /);
  disk.keeps = () => false;
  await registry.stop();
  await registry.resume();
  expect((await shreddedObjects(registry)).get(oid)).toBe(first);
  const { isClean, shredding } = await recordOf(registry);
  expect([isClean, shredding?.isDone]).toEqual([true, first?.startsWith('overwritten')]);
});
