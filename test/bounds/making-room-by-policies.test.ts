import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { FillingDisk, hour, percent, repo } from './filling-disk.ts';

const inUse = { action: 'keep', pulledWithin: '24h' } as const;

test('when the trash has nothing left, policies make room: the least recently used goes, down to the lower bound', async () => {
  await using disk = await FillingDisk.start();
  const tags = ['pulled', 'pinned', 'one', 'two', 'three', 'four'];
  for (const tag of tags) {
    await disk.push(tag, 10);
    disk.registry.clock.advance(1000);
  }
  await disk.push('trashed', 10);
  await disk.remove('trashed');
  await disk.registry.admin('POST', '/pins', { target: `${repo}:pinned`, reason: 'it is to stay' });
  await disk.use({ repositories: repo, default: 'keep', whenFull: 'prune', rules: [inUse], rails: { grace: '0' } });
  disk.registry.clock.advance(48 * hour);
  expect(await disk.pull('pulled')).toBe(200);
  await disk.looked();
  expect(await disk.tags()).toEqual(tags.toSorted());

  // 95 % of the disk: 35 % are to go. The trash has 10 of them, three images the others.
  await disk.othersTake(25);
  await disk.looked(2);
  expect((await disk.status()).state).toBe('making-room');
  await disk.looked(6);
  expect(await disk.tags()).toEqual(['four', 'pinned', 'pulled']);
  expect(await disk.status()).toMatchObject({
    state: 'making-room',
    bounds: { made: { trashedTags: 4, prunedTags: 3 } },
  });

  const { made } = (await disk.status()).bounds;
  expect(Math.floor((made?.bytes ?? 0) / percent)).toBe(40);

  // Not in the trash for 72 h, but as soon as what is condemned may go.
  disk.registry.clock.advance(11 * 60_000);
  await disk.looked();
  expect(disk.events()).toEqual(['disk.high', 'disk.low']);
  expect((await disk.status()).state).toBe('within-bounds');
  expect(disk.inTrash()).toEqual([]);
  expect(await disk.objectCount()).toBe(6);
  for (const tag of ['four', 'pinned', 'pulled']) expect(await disk.pull(tag)).toBe(200);
  expect(disk.registry.rows('select tag, reason from event where kind = ? order by id', 'tag.pruned')).toEqual(
    ['one', 'two', 'three'].map((tag) => ({
      tag,
      reason: 'room is needed, no rule keeps it, and it is among the least recently used',
    })),
  );
  expect(disk.warnings()).not.toContain('no more room can be made');
});

test('where all that is left is kept by rules, pins or as the last tag, it is said that nothing is left', async () => {
  await using disk = await FillingDisk.start();
  for (const tag of ['pulled', 'pinned', 'gone']) await disk.push(tag, 28);
  await disk.registry.admin('POST', '/pins', { target: `${repo}:pinned`, reason: 'it is to stay' });
  await disk.use({ repositories: repo, default: 'keep', whenFull: 'prune', rules: [inUse], rails: { grace: '0' } });
  disk.registry.clock.advance(48 * hour);
  expect(await disk.pull('pulled')).toBe(200);
  await disk.othersTake(10);
  await disk.looked(10);
  disk.registry.clock.advance(11 * 60_000);
  await disk.looked(5);
  expect(await disk.tags()).toEqual(['pinned', 'pulled']);
  expect((await disk.status()).state).toBe('stuck');
  expect(disk.events()).toEqual(['disk.high', 'disk.stuck']);
});

test('untagged manifests make room as well, and count for it', async () => {
  await using disk = await FillingDisk.start();
  const rules = [{ action: 'keep' } as const];
  const rails = { grace: '0', untaggedGrace: '0' };
  await disk.use({ repositories: repo, default: 'keep', whenFull: 'prune', rules, rails });
  for (const tag of ['one', 'two']) await disk.push(tag, 5);
  const digests: string[] = [];
  for (let number = 0; number < 5; number++) digests.push(await disk.push(undefined, 15));
  disk.registry.clock.advance(2 * hour);
  await disk.looked(6);
  expect(disk.warnings()).not.toContain('no more room can be made');
  disk.registry.clock.advance(11 * 60_000);
  await disk.looked();
  expect(disk.events()).toEqual(['disk.high', 'disk.low']);
  expect(await disk.tags()).toEqual(['one', 'two']);
  const left = await Promise.all(digests.map((digest) => disk.pull(digest)));
  expect(left.filter((status) => status === 200)).toHaveLength(3);
});

test('while pushes go on, room is made until what is on its way out makes up for them', async () => {
  await using disk = await FillingDisk.start();
  await disk.use({ repositories: repo, default: 'keep', whenFull: 'prune', rules: [inUse], rails: { grace: '0' } });
  for (let number = 0; number < 8; number++) {
    await disk.push(`old-${number}`, 10);
    disk.registry.clock.advance(1000);
  }
  disk.registry.clock.advance(48 * hour);
  // 84 % of the disk, and one more each minute: some are always on their way out, for ten minutes each.
  await disk.othersTake(4);
  await disk.looked(4);
  for (let minute = 0; minute < 14; minute++) {
    await disk.push(`new-${minute}`, 1);
    await disk.looked(4);
    disk.registry.clock.advance(56_000);
  }
  expect(disk.events()).toEqual(['disk.high', 'disk.low']);
  expect((await disk.status()).state).toBe('within-bounds');
  // Three for what was too much, and one for what has come before it was made up for.
  expect((await disk.tags()).filter((tag) => tag.startsWith('old'))).toEqual(['old-4', 'old-5', 'old-6', 'old-7']);
});

describe('what is held', () => {
  const tags = ['one', 'three', 'two'];
  let disk: FillingDisk;
  beforeEach(async () => {
    disk = await FillingDisk.start();
    await disk.use({ repositories: repo, default: 'keep', whenFull: 'prune', rails: { grace: '0' } });
    // Only now: it looks at a bucket as it starts, before it knows what may go.
    for (const tag of tags) await disk.push(tag, 28);
    disk.registry.clock.advance(48 * hour);
    await disk.registry.collected();
  });
  afterEach(async () => await disk[Symbol.asyncDispose]());

  const pause = async () => await disk.registry.admin('POST', '/collector/pause', { reason: 'wait' });
  const stuck = () => disk.registry.rows('select reason from event where kind = ? order by id', 'disk.stuck');

  test('by a pause that is acknowledged while a tag is about to go stays', async () => {
    await disk.lookedWhile('before', pause);
    expect(await disk.tags()).toEqual(tags);
    await disk.looked();
    expect(await disk.tags()).toEqual(tags);
    expect(stuck()).toEqual([{ reason: 'the collector is paused' }]);
    await disk.registry.admin('POST', '/collector/resume');
    await disk.looked();
    expect(await disk.tags()).toEqual(['three', 'two']);
  });

  test('by a pause is not said to be all that is left', async () => {
    const prune = disk.registry.prune;
    disk.registry.prune = async (neededBytes, limits) => {
      await pause();
      return await prune(neededBytes, limits);
    };
    await disk.looked();
    expect(await disk.tags()).toEqual(tags);
    expect(stuck()).toEqual([{ reason: 'the collector is paused' }]);
    disk.registry.prune = prune;
    await disk.registry.admin('POST', '/collector/resume');
    await disk.looked();
    expect(await disk.tags()).toEqual(['three', 'two']);
  });

  test('by a registry that is being stopped is not either, and goes after the next start', async () => {
    await disk.registry.stopPruning();
    await disk.looked();
    expect(await disk.tags()).toEqual(tags);
    expect(disk.events()).toEqual(['disk.high']);
    await disk.restart();
    await disk.looked();
    expect(await disk.tags()).toEqual(['three', 'two']);
    expect(disk.events()).toEqual(['disk.high']);
  });
});
