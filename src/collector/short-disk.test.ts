import { expect, test } from 'bun:test';
import { ShortDisk } from './short-disk.ts';

const gib = 1024 ** 3;

test.each([
  ['one of which half is free', 50 * gib, 100 * gib, false],
  ['a large one with a few GiB free', 3 * gib, 1000 * gib, false],
  ['a large one with less than a GiB free', 0.9 * gib, 1000 * gib, true],
  ['a small one with a tenth free', 0.1 * gib, gib, false],
  ['a small one with less than a twentieth free', 0.04 * gib, gib, true],
])('%s is short, or is not', async (_, freeBytes, totalBytes, isShort) => {
  const disk = new ShortDisk(async () => ({ freeBytes, totalBytes }));
  await disk.look();
  expect(disk.isShort).toBe(isShort);
});

test('a disk that cannot be measured stays what it was', async () => {
  let freeBytes: number | undefined = 0;
  const disk = new ShortDisk(async () => {
    if (freeBytes === undefined) throw new Error('away');
    return { freeBytes, totalBytes: gib };
  });
  await disk.look();
  freeBytes = undefined;
  await disk.look();
  expect(disk.isShort).toBe(true);
});
