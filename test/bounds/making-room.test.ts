import { expect, test } from 'bun:test';
import { FillingDisk, hour, percent, repo } from './filling-disk.ts';

test('over the upper bound the trash is emptied, oldest first, as far as it takes to get to the lower one', async () => {
  await using disk = await FillingDisk.start();
  const tags = ['one', 'two', 'three', 'four', 'five', 'six'];
  for (const tag of tags) await disk.push(tag, 10);
  await disk.push('kept', 15);
  for (const tag of tags) {
    await disk.remove(tag);
    disk.registry.clock.advance(1000);
  }
  disk.registry.clock.advance(2 * hour);
  await disk.looked();
  expect(disk.inTrash()).toEqual(tags);
  expect(disk.events()).toEqual([]);

  // 85 % of the disk: 25 % are to go, which three images are.
  await disk.othersTake(10);
  await disk.looked();
  expect(disk.inTrash()).toEqual(['four', 'five', 'six']);
  expect(disk.events()).toEqual(['disk.high']);
  expect(disk.registry.rows('select reason from event where kind = ? and tag = ?', 'tag.emptied', 'one')).toEqual([
    { reason: 'storage.high was passed' },
  ]);

  disk.registry.clock.advance(11 * 60_000);
  await disk.registry.collected();
  await disk.looked();
  expect(disk.events()).toEqual(['disk.high', 'disk.low']);
  expect(disk.inTrash()).toEqual(['four', 'five', 'six']);
  expect(await disk.restore('four')).toBe(200);
  expect((await disk.registry.send(`/v2/${repo}/manifests/kept`)).status).toBe(200);
});

test('what would free nothing stays in the trash: what a tag holds, and what has a lease', async () => {
  await using disk = await FillingDisk.start();
  const image = await disk.push('old', 30);
  const bytes = await (await disk.registry.send(`/v2/${repo}/manifests/${image}`)).text();
  await disk.registry.putManifest(repo, 'twin', bytes);
  await disk.remove('old');
  disk.registry.clock.advance(2 * hour);
  await disk.push('new', 30);
  await disk.remove('new');
  await disk.othersTake(30);
  await disk.looked();
  expect(disk.inTrash()).toEqual(['old', 'new']);
  expect(disk.events()).toEqual(['disk.high', 'disk.stuck']);

  // When the lease is over, there is something left that may go.
  disk.registry.clock.advance(2 * hour);
  await disk.looked();
  expect(disk.inTrash()).toEqual(['old']);
});

test('a deleted manifest whose blobs have leases stays in the trash until these are over', async () => {
  await using disk = await FillingDisk.start();
  const digest = await disk.push('one', 30);
  await disk.remove(digest);
  await disk.othersTake(60);
  await disk.looked();
  expect(disk.inTrash()).toEqual(['one']);
  disk.registry.clock.advance(hour);
  await disk.looked();
  expect([disk.inTrash(), disk.events()]).toEqual([[], ['disk.high']]);
});

test('while the collector is paused by an operator the trash is not emptied, as nothing would go', async () => {
  await using disk = await FillingDisk.start();
  await disk.push('one', 85);
  await disk.remove('one');
  disk.registry.clock.advance(2 * hour);
  await disk.registry.admin('POST', '/collector/pause', { reason: 'looking into something' });
  await disk.looked(2);
  expect(disk.inTrash()).toEqual(['one']);
  expect(disk.warnings()).toContain('the collector is paused');
  await disk.registry.admin('POST', '/collector/resume');
  await disk.looked(2);
  expect(disk.inTrash()).toEqual([]);
});

test('a pause that is acknowledged while the trash is being emptied holds what is about to go', async () => {
  await using disk = await FillingDisk.start();
  await disk.push('one', 85);
  await disk.remove('one');
  disk.registry.clock.advance(2 * hour);
  await disk.registry.collected();
  await disk.lookedWhile(
    'before',
    async () => await disk.registry.admin('POST', '/collector/pause', { reason: 'wait' }),
  );
  expect(disk.inTrash()).toEqual(['one']);
  await disk.looked(1);
  expect([disk.inTrash(), (await disk.status()).bounds.stuck]).toEqual([['one'], 'collector-paused']);
  await disk.registry.admin('POST', '/collector/resume');
  await disk.looked(2);
  expect(disk.inTrash()).toEqual([]);
});

test('a pause holds the rest of the trash, and what has gone before it is counted', async () => {
  await using disk = await FillingDisk.start();
  await disk.push('kept', 55);
  const tags = Array.from({ length: 30 }, (_, number) => `tag-${String(number).padStart(2, '0')}`);
  for (const tag of tags) {
    await disk.push(tag, 1);
    await disk.remove(tag);
    disk.registry.clock.advance(1000);
  }
  disk.registry.clock.advance(2 * hour);
  await disk.registry.collected();
  await disk.lookedWhile(
    'after',
    async () => await disk.registry.admin('POST', '/collector/pause', { reason: 'wait' }),
  );
  const left = disk.inTrash();
  expect(left).toEqual(tags.slice(20));
  expect((await disk.status()).bounds.made?.trashedTags).toBe(20);
  await disk.looked();
  expect(disk.inTrash()).toEqual(left);
});

test('tags go only where policies let them, and only when the trash has nothing left', async () => {
  await using disk = await FillingDisk.start();
  const asked: number[] = [];
  disk.registry.prune = async (neededBytes) => {
    asked.push(Math.round(neededBytes / percent));
    if (asked.length > 1) return { tags: 0, manifests: 0, bytes: 0 };
    await disk.remove('tagged');
    return { tags: 1, manifests: 0, bytes: 20 * percent };
  };
  await disk.push('trashed', 10);
  await disk.push('tagged', 20);
  await disk.push('kept', 20);
  await disk.remove('trashed');
  disk.registry.clock.advance(2 * hour);
  // 95 % of the disk: 35 % are to go, of which the trash has 10.
  await disk.othersTake(45);
  // What has become due is reviewed first.
  await disk.looked(2);
  expect([disk.inTrash(), asked]).toEqual([[], []]);
  await disk.looked(4);
  // The tag makes up for 20 of them.
  expect(asked).toEqual([25, 5]);
  // What a tag led to has a lease; then it goes from the trash as well, and no other tag does.
  expect(disk.inTrash()).toEqual(['tagged']);
  disk.registry.clock.advance(2 * hour);
  await disk.looked(10);
  expect(disk.inTrash()).toEqual([]);
  expect((await disk.registry.send(`/v2/${repo}/manifests/kept`)).status).toBe(200);
});

test('policies that let nothing go are not asked again for a while', async () => {
  await using disk = await FillingDisk.start();
  let asked = 0;
  disk.registry.prune = async () => {
    asked++;
    return { tags: 0, manifests: 0, bytes: 0 };
  };
  await disk.push('kept', 85);
  await disk.looked(10);
  expect(asked).toBe(1);
  await disk.looked(30);
  expect(asked).toBe(2);
});

test('what an upload keeps that was begun before its lease ended stays in the trash, and nothing else goes for it', async () => {
  await using disk = await FillingDisk.start();
  let asked = 0;
  disk.registry.prune = async () => {
    asked++;
    return { tags: 0, manifests: 0, bytes: 0 };
  };
  await disk.push('one', 30);
  await disk.remove('one');
  const upload = await disk.registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
  disk.registry.clock.advance(2 * hour);
  await disk.othersTake(60);
  await disk.looked();
  expect([disk.inTrash(), asked]).toEqual([['one'], 0]);
  await disk.registry.send(upload.headers.get('location') ?? '', { method: 'DELETE' });
  await disk.looked();
  expect(disk.inTrash()).toEqual([]);
  disk.registry.clock.advance(11 * 60_000);
  await disk.looked();
  expect([disk.events(), asked]).toEqual([['disk.high', 'disk.low'], 0]);
});
