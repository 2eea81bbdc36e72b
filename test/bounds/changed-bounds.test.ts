import { expect, test } from 'bun:test';
import { bytes, FillingDisk, hour } from './filling-disk.ts';

const trashed = ['one', 'two', 'three'];

/** Bounds in hundredths of the disk, of what the registry itself has stored. */
function between(low: number, high: number) {
  return { 'storage.low': bytes(low), 'storage.high': bytes(high) };
}

/** A registry that has 85 % stored and 80 % as its bound, and can let nothing go until leases are over. */
async function overHigh(): Promise<FillingDisk> {
  const disk = await FillingDisk.start(between(60, 80));
  await disk.push('kept', 55);
  for (const tag of trashed) {
    await disk.push(tag, 10);
    await disk.remove(tag);
    disk.registry.clock.advance(1000);
  }
  await disk.looked();
  expect([disk.inTrash(), disk.events()]).toEqual([trashed, ['disk.high']]);
  return disk;
}

test('a bound that is raised has nothing go that only the one before it wanted', async () => {
  await using disk = await overHigh();
  await disk.restart(between(60, 95));
  disk.registry.clock.advance(2 * hour);
  await disk.looked();
  expect([disk.inTrash(), disk.events()]).toEqual([trashed, ['disk.high', 'disk.low']]);
  expect((await disk.status()).state).toBe('within-bounds');
});

test('a bound that is raised, and passed all the same, is one that was passed before', async () => {
  await using disk = await overHigh();
  const before = (await disk.status()).bounds;
  await disk.restart(between(60, 82));
  disk.registry.clock.advance(2 * hour);
  await disk.looked();
  expect([disk.inTrash(), disk.events()]).toEqual([[], ['disk.high']]);
  expect((await disk.status()).bounds.overHighSince).toBe(before.overHighSince);
});

test('a bound that is set to off was not passed, and nothing goes for it when there is another one later', async () => {
  await using disk = await overHigh();
  await disk.restart({ 'storage.low': 'auto', 'storage.high': 'off' });
  await disk.looked();
  expect(disk.events()).toEqual(['disk.high', 'disk.low']);
  expect((await disk.status()).bounds.overHighSince).toBeUndefined();
  await disk.restart(between(60, 90));
  disk.registry.clock.advance(2 * hour);
  await disk.looked();
  expect([disk.inTrash(), disk.events()]).toEqual([trashed, ['disk.high', 'disk.low']]);
});

test('a restart with the same bounds goes on with what has begun', async () => {
  await using disk = await overHigh();
  await disk.restart();
  disk.registry.clock.advance(2 * hour);
  await disk.looked();
  expect([disk.inTrash(), disk.events()]).toEqual([[], ['disk.high']]);
});

test('what cannot be helped is told again where the bounds are others', async () => {
  await using disk = await FillingDisk.start(between(60, 80));
  await disk.push('kept', 85);
  await disk.looked();
  await disk.restart();
  await disk.looked();
  expect(disk.events()).toEqual(['disk.high', 'disk.stuck']);
  await disk.restart(between(60, 82));
  await disk.looked();
  expect(disk.events()).toEqual(['disk.high', 'disk.stuck', 'disk.stuck']);
});
