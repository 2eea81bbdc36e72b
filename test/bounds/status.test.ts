import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { storageStatus } from '../../src/http/admin/status.ts';
import { freshBytes, imageOf } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';

const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');
const repo = 'team/app';
const hour = 3_600_000;
const mib = 1024 * 1024;
const windows = { 'windows.lease': '1h', 'windows.trash': '12h', 'windows.condemned': '10m', 'windows.upload': '2h' };

async function statusOf(registry: ServedRegistry) {
  return storageStatus.answer.parse(await (await registry.admin('GET', '/status')).json());
}

async function push(registry: ServedRegistry, tag: string, layer: Uint8Array): Promise<void> {
  const config = new Uint8Array(1);
  await registry.pushBlob(repo, config);
  await registry.pushBlob(repo, layer);
  expect((await registry.putManifest(repo, tag, imageOf(config, layer))).status).toBe(201);
}

function diskWith(usedMib: number) {
  return { freeBytes: (100 - usedMib) * mib, usedBytes: usedMib * mib, totalBytes: 100 * mib };
}

test('the forecast says when the bound is passed at the rate of the last day, and of the last week', async () => {
  await using registry = await ServedRegistry.start({ ...windows, 'storage.high': '80%', 'storage.reserve': '10MiB' });
  registry.disk = diskWith(30);
  expect((await statusOf(registry)).forecast).toEqual({});
  // Each day of the week brings 1 MiB, and the last one 12.
  for (let hours = 0; hours <= 7 * 24; hours++) {
    registry.disk = diskWith(30 + hours / 24 + Math.max(0, hours - 6 * 24) / 2);
    await registry.looked();
    registry.clock.advance(hour);
  }
  const { forecast } = await statusOf(registry);
  expect(Math.round((forecast.day?.bytesPerDay ?? 0) / mib)).toBe(13);
  expect(Math.round((forecast.week?.bytesPerDay ?? 0) / mib)).toBe(1);
  // 49 MiB are used, and 80 and 90 are the bounds.
  const inDays = (at: string | undefined) => (Date.parse(at ?? '') - registry.clock.now()) / 24 / hour;
  expect(inDays(forecast.day?.highAt)).toBeCloseTo(31 / 13, 1);
  expect(inDays(forecast.day?.reserveAt)).toBeCloseTo(41 / 13, 1);

  registry.disk = diskWith(10);
  for (let hours = 0; hours < 30; hours++) {
    registry.disk = diskWith(40 - hours);
    await registry.looked();
    registry.clock.advance(hour);
  }
  const shrinking = (await statusOf(registry)).forecast.day;
  expect(shrinking?.bytesPerDay).toBeLessThan(0);
  expect([shrinking?.highAt, shrinking?.reserveAt]).toEqual([undefined, undefined]);
});

test('crossings of the bounds are told, also by the metrics', async () => {
  await using registry = await ServedRegistry.start({ ...windows, 'storage.high': '80%', 'storage.reserve': '10MiB' });
  const gauges = async () => await (await registry.send('/metrics')).text();
  registry.disk = diskWith(50);
  await registry.looked();
  const calm = await gauges();
  expect(calm).toContain('\nwherry_storage_over_high 0\n');
  // Nobody knows yet how fast it grows.
  expect(calm).toMatch(/\nwherry_storage_high_in_seconds nan\n/i);
  registry.disk = diskWith(95);
  await registry.looked();
  const metrics = await gauges();
  for (const gauge of ['over_high 1', 'under_reserve 1', 'stuck 1', `high_bytes ${80 * mib}`]) {
    expect(metrics).toContain(`\nwherry_storage_${gauge}\n`);
  }
  const { state, bounds, events } = await statusOf(registry);
  expect(state).toBe('under-reserve');
  expect(bounds).toMatchObject({ stuck: 'others-fill-the-disk', overHighSince: '2030-01-01T00:00:00.000Z' });
  expect(events.map(({ kind }) => kind)).toEqual(['disk.stuck', 'disk.reserve', 'disk.high']);
  registry.disk = diskWith(50);
  await registry.looked();
  expect((await statusOf(registry)).state).toBe('within-bounds');
});

test('wherry status says in words why no more room can be made', async () => {
  await using registry = await ServedRegistry.start({ ...windows, 'storage.high': '80%', 'storage.reserve': '1MiB' });
  await push(registry, 'kept', freshBytes(20 * mib));
  registry.disk = diskWith(90);
  await registry.admin('POST', '/collector/pause', { reason: 'looking into something' });
  await registry.looked();
  const child = Bun.spawn([process.execPath, main, 'status', '--data', registry.dataDirectory], {
    env: { ...process.env, ...registry.environment },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const out = await child.stdout.text();
  expect(out).toContain(
    'and no more room can be made: the collector is paused, or the database is older than the blobs\n',
  );
  expect(out).toMatch(/collector +paused since 2030-01-01 00:00:00 by admin .*: looking into something\n/);
});
