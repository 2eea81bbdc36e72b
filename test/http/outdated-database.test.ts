import { expect, test } from 'bun:test';
import { generationCheck } from '../../src/fsck/checks/generation.ts';
import type { FsckOptions } from '../../src/fsck/fsck.ts';
import { openBytes, openRecords } from '../../src/fsck/places.ts';
import { collectorStatus } from '../../src/http/admin/collector.ts';
import { findings, isOnPostgres } from '../fsck/damaged-registry.ts';
import { freshBytes } from './content.ts';
import { ServedRegistry, type Settings } from './served-registry.ts';

const repo = 'team/app';
const settings: Settings = { 'windows.lease': '0', 'windows.condemned': '0' };

/** Pushes a blob that nothing keeps, and has it collected. */
async function pushAndCollect(registry: ServedRegistry): Promise<void> {
  await registry.pushBlob(repo, freshBytes());
  registry.clock.advance(60_000);
  await registry.collected();
  expect(await registry.objectFiles()).toEqual([]);
}

async function found(registry: ServedRegistry, options: Partial<FsckOptions> = {}): Promise<string[]> {
  const all = await findings(registry, options);
  return all.map(({ severity, code, isRepaired }) => `${severity} ${code}${isRepaired ? ' repaired' : ''}`);
}

async function isOutdated(registry: ServedRegistry): Promise<boolean> {
  return (await (await registry.send('/metrics')).text()).includes('\nwherry_database_outdated 1\n');
}

test('a database older than its blobs removes nothing until it has been accepted (R39)', async () => {
  await using registry = await ServedRegistry.start(settings);
  await pushAndCollect(registry);
  await registry.stop();
  const backup = registry.tables.keep();
  await registry.resume(settings);
  expect(await isOutdated(registry)).toBe(false);
  await pushAndCollect(registry);
  const orphan = 'ab'.repeat(16);
  await registry.objects.write(orphan, 'pushed since');
  await registry.stop();

  backup.putBack();
  await registry.resume(settings);
  expect(registry.logged.filter((line) => line.includes('older than the blobs'))).toHaveLength(1);
  expect(await isOutdated(registry)).toBe(true);
  await registry.pushBlob(repo, freshBytes());
  registry.clock.advance(60_000);
  await registry.collected();
  expect(await registry.objectFiles()).toHaveLength(2);
  // Beside a server that has the database to itself, only that one accepts it.
  expect(await found(registry, { repair: !isOnPostgres })).toContain('leak F14');
  await registry.stop();

  // What the database does not know is adopted, and only then it is accepted.
  const repaired = await found(registry, { repair: true, keepAdoptedMs: 7_200_000 });
  expect(repaired).toEqual(['leak F2 repaired', 'leak F14 repaired']);
  expect(await found(registry, { repair: true, orphanAgeMs: 0 })).toEqual([]);
  await registry.resume(settings);
  expect(await isOutdated(registry)).toBe(false);
  registry.clock.advance(3_600_000);
  await registry.collected();
  expect(await registry.objects.has(orphan)).toBe(true);
  registry.clock.advance(3_600_000);
  await registry.collected();
  expect(await registry.objectFiles()).toEqual([]);
});

test('a database older than its blobs can be accepted while the registry runs, and is collected from then on (R39)', async () => {
  await using registry = await ServedRegistry.start(settings);
  await registry.stop();
  const backup = registry.tables.keep();
  await registry.resume(settings);
  await pushAndCollect(registry);
  await registry.stop();
  backup.putBack();
  await registry.resume(settings);
  const state = async (path = '') => {
    const answer = await registry.admin(path === '' ? 'GET' : 'POST', `/collector${path}`);
    return collectorStatus.answer.parse(await answer.json()).state;
  };
  expect(await state('/resume')).toBe('database-outdated');
  expect(await (await registry.send('/metrics')).text()).toContain('\nwherry_collector_paused 1\n');
  await registry.pushBlob(repo, freshBytes());
  registry.clock.advance(60_000);
  await registry.collected();
  expect(await registry.objectFiles()).toHaveLength(1);

  const repaired = await registry.admin('POST', '/fsck', { repair: true });
  const lines = (await repaired.text()).trimEnd().split('\n');
  const told = lines.filter((line) => line.includes('F14'));
  expect(told).toHaveLength(1);
  expect(told[0]).toContain('"isRepaired":true');
  expect(await isOutdated(registry)).toBe(false);
  expect(await state()).toBe('running');
  await registry.stop();
  await registry.resume(settings);
  expect(await isOutdated(registry)).toBe(false);
  registry.clock.advance(3_600_000);
  await registry.collected();
  expect(await registry.objectFiles()).toEqual([]);
});

test('a database stays accepted over a restart, and the collector paused that an operator has paused', async () => {
  await using registry = await ServedRegistry.start(settings);
  await registry.admin('POST', '/collector/pause', { reason: 'incident' });
  await registry.stop();
  await registry.objects.setGeneration(7);
  await registry.resume(settings);
  await (await registry.admin('POST', '/fsck', { repair: true })).text();
  expect(await isOutdated(registry)).toBe(false);
  expect(await (await registry.send('/metrics')).text()).toContain('\nwherry_collector_paused 1\n');
  await registry.stop();
  await registry.resume(settings);
  expect(await isOutdated(registry)).toBe(false);
  const answer = await registry.admin('GET', '/collector');
  expect(collectorStatus.answer.parse(await answer.json())).toMatchObject({
    state: 'paused',
    paused: { reason: 'incident' },
  });
});

test('a database that is restored while it is being checked is not accepted by that check', async () => {
  await using registry = await ServedRegistry.start(settings);
  const { places } = registry.stores;
  await using records = await openRecords(places);
  const bytes = await openBytes(places);
  const checked = { records, bytes, now: registry.clock.now(), servedSince: undefined, orphanAgeMs: 0 };
  await registry.objects.setGeneration(7);
  const [first] = await generationCheck({ ...checked, isOutdated: false, others: [] }).look('store');
  expect(first?.code).toBe('F14');
  // It was not looked at for what it does not know.
  expect(first?.repair).toBeUndefined();
  const [second] = await generationCheck({ ...checked, isOutdated: true, others: [] }).look('store');
  expect(second?.repair).toEqual({ kind: 'settle-generation', generation: 7 });
});

test('the generation of the blobs moves once a minute at most, and only when bytes go', async () => {
  await using registry = await ServedRegistry.start(settings);
  const generation = () => registry.rows<{ generation: number }>('select generation from store')[0]?.generation;
  await registry.pushBlob(repo, freshBytes());
  expect(generation()).toBe(0);
  await registry.collected();
  expect(generation()).toBe(1);
  await registry.pushBlob(repo, freshBytes());
  await registry.collected();
  expect(generation()).toBe(1);
  await pushAndCollect(registry);
  expect(generation()).toBe(2);
  expect(await registry.objects.generation()).toBe(2);
});
