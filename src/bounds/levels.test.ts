import { expect, test } from 'bun:test';
import { levelsOf, reserveBytesOf } from './levels.ts';

const gib = 1024 ** 3;
const none = { objects: 0, bytes: 0 };
const stored = {
  pending: { objects: 1, bytes: 1 },
  live: { objects: 1, bytes: 20 },
  condemned: { objects: 1, bytes: 300 },
  dead: { objects: 1, bytes: 4000 },
};
/** Of 120 bytes, 20 are for root alone. */
const disk = { freeBytes: 40, usedBytes: 60, totalBytes: 120 };

test('percentages are of what the disk can hold, and bound what is on it, by whomever', () => {
  const bounds = {
    high: { unit: 'percent', percent: 90 },
    low: { unit: 'percent', percent: 50.5 },
    reserve: { unit: 'percent', percent: 2 },
  } as const;
  expect(levelsOf({ disk, stored, databaseBytes: 50_000 }, bounds)).toEqual({
    usedBytes: 60,
    highBytes: 90,
    lowBytes: 50,
    freeBytes: 40,
    usedOnDiskBytes: 60,
    reserveBytes: 2,
    leavingBytes: 4300,
    blobBytes: 4321,
  });
});

test('bytes bound what the registry itself has stored, with its database', () => {
  const bounds = {
    high: { unit: 'bytes', sizeBytes: 9 },
    low: { unit: 'bytes', sizeBytes: 7 },
    reserve: undefined,
  } as const;
  const levels = levelsOf({ disk, stored: { ...stored, dead: none }, databaseBytes: 50_000 }, bounds);
  expect(levels).toMatchObject({ usedBytes: 50_321, highBytes: 9, lowBytes: 7, freeBytes: 40 });
});

test.each([
  ['one of 10 GiB', 10 * gib, 0.1 * gib],
  ['one of 4 TiB', 4096 * gib, gib],
])('the reserve suits the disk where it is not given: %s', (_, sizeBytes, expected) => {
  const space = { freeBytes: sizeBytes / 2, usedBytes: sizeBytes / 2, totalBytes: sizeBytes };
  expect(reserveBytesOf(undefined, space)).toBe(Math.floor(expected));
});
