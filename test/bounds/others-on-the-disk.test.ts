import { expect, test } from 'bun:test';
import { bytes, FillingDisk, hour, percent, repo } from './filling-disk.ts';
import { storageStatus } from '../../src/http/admin/status.ts';

// What others have on the disk, and what is free there: a bucket has neither.

test('where others fill the disk, so that all blobs together would not make up for it, the trash stays', async () => {
  await using disk = await FillingDisk.start();
  await disk.push('one', 5);
  await disk.remove('one');
  disk.registry.clock.advance(2 * hour);
  disk.othersBytes = 90 * percent;
  await disk.looked();
  expect(disk.inTrash()).toEqual(['one']);
  expect(disk.events()).toEqual(['disk.high', 'disk.stuck']);
  expect(disk.warnings()).toContain('all blobs together take less than what is missing');
  // What they give back is theirs as well.
  disk.othersBytes = 72 * percent;
  await disk.looked();
  expect(disk.inTrash()).toEqual(['one']);
  expect(disk.events()).toEqual(['disk.high', 'disk.stuck', 'disk.low']);
});

test('with the upper bound off nothing goes before its time, even where the reserve is touched', async () => {
  await using disk = await FillingDisk.start({ 'storage.high': 'off', 'storage.low': 'auto' });
  await disk.push('one', 30);
  await disk.remove('one');
  disk.registry.clock.advance(2 * hour);
  disk.othersBytes = 69 * percent;
  await disk.looked();
  expect(disk.inTrash()).toEqual(['one']);
  expect(disk.events()).toEqual(['disk.reserve']);
  disk.othersBytes = 0;
  await disk.looked(1);
  expect(disk.events()).toEqual(['disk.reserve', 'disk.room']);
});

test('a bound in bytes is one of what the registry has stored itself', async () => {
  await using disk = await FillingDisk.start({ 'storage.high': bytes(40), 'storage.low': bytes(20) });
  await disk.push('one', 30);
  await disk.remove('one');
  disk.registry.clock.advance(2 * hour);
  disk.othersBytes = 60 * percent;
  await disk.looked();
  expect(disk.inTrash()).toEqual(['one']);
  disk.othersBytes = 0;
  await disk.looked(1);
  await disk.push('two', 15);
  await disk.looked();
  expect(disk.inTrash()).toEqual([]);
});

test('what was done counts from when the first of the bounds was passed', async () => {
  await using disk = await FillingDisk.start({ 'storage.high': bytes(200), 'storage.low': bytes(100) });
  const made = async () =>
    storageStatus.answer.parse(await (await disk.registry.admin('GET', '/status')).json()).bounds.made;
  for (const tag of ['one', 'two']) {
    await disk.push(tag, 20);
    await disk.remove(tag);
    disk.registry.clock.advance(2 * hour);
    await disk.registry.collected();
    disk.othersBytes = 79 * percent;
    await disk.looked();
    expect([tag, disk.inTrash(), await made()]).toMatchObject([tag, [], { trashedTags: 1 }]);
    disk.othersBytes = 0;
    disk.registry.clock.advance(hour);
    await disk.registry.collected();
    await disk.looked();
  }
});

test('a refusal says to try again while room is being made', async () => {
  await using disk = await FillingDisk.start();
  await disk.push('one', 30);
  await disk.remove('one');
  disk.registry.clock.advance(2 * hour);
  disk.othersBytes = 69 * percent;
  await disk.looked(1);
  const refused = await disk.registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([507, '10']);
  expect(await refused.text()).toContain('room is being made, try again');
});
