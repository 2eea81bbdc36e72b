import { afterEach, beforeEach, expect, test } from 'bun:test';
import { digestOf, freshBytes } from '../http/content.ts';
import { bytes, FillingDisk, hour, repo } from './filling-disk.ts';

let disk: FillingDisk;

beforeEach(async () => {
  disk = await FillingDisk.start({ 'storage.low': bytes(60), 'storage.high': bytes(80) });
  await disk.push('kept', 55);
  await disk.push('trashed', 30);
  await disk.remove('trashed');
  // It needs none yet: its lease is not over.
  await disk.looked();
  disk.registry.clock.advance(2 * hour);
  await disk.registry.collected();
  expect(disk.inTrash()).toEqual(['trashed']);
});
afterEach(async () => await disk[Symbol.asyncDispose]());

/** Has the last step be one made so many ms from now, by another process or by a clock that was wrong. */
function lastStepIsIn(ms: number): void {
  disk.registry.tables.change('update room_making set stepped_at = ?', disk.registry.clock.now() + ms);
}

/** Looks while a review is due that nobody has come to yet. */
async function lookedBehindOnReviews(): Promise<void> {
  const { clock, tables } = disk.registry;
  tables.change(
    'insert into task (kind, key1, key2, due_at) values (?, ?, ?, ?)',
    'link',
    repo,
    digestOf(freshBytes()),
    clock.now(),
  );
  await disk.looked(1);
}

test('a step that was made while the clock was ahead holds nothing up once it is set right', async () => {
  lastStepIsIn(24 * hour);
  await lookedBehindOnReviews();
  expect(disk.inTrash()).toEqual([]);
});

test('nor after a restart', async () => {
  lastStepIsIn(24 * hour);
  await disk.restart();
  await lookedBehindOnReviews();
  expect(disk.inTrash()).toEqual([]);
});

test('a step that another process has made just now is waited for, also where its clock is a little ahead', async () => {
  lastStepIsIn(3000);
  await lookedBehindOnReviews();
  expect(disk.inTrash()).toEqual(['trashed']);
  await disk.looked(1);
  expect(disk.inTrash()).toEqual([]);
});

test('a clock that is set back does not have the trash left alone until it is as late again', async () => {
  await using other = await FillingDisk.start({ 'storage.low': bytes(60), 'storage.high': bytes(80) });
  const { registry } = other;
  await other.push('kept', 55);
  await other.push('trashed', 30);
  await other.remove('trashed');
  const upload = await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
  registry.clock.advance(2 * hour);
  await registry.collected();
  await other.looked(1);
  expect(other.inTrash()).toEqual(['trashed']);
  registry.clock.set(-10 * 60_000);
  registry.clock.advance(5000);
  await registry.send(upload.headers.get('location') ?? '', { method: 'DELETE' });
  await other.looked(1);
  expect(other.inTrash()).toEqual([]);
});
