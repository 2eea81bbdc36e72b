import { expect, test } from 'bun:test';
import { leastBytesAtEnd, leastPartBytes, mostParts, partBytesOf } from './settings.ts';

const mebibyte = 1024 ** 2;

test('the first parts are as large as configured, and later ones larger', () => {
  expect([1, 500, 501, 1000, 1001].map((number) => partBytesOf(number, 8 * mebibyte) / mebibyte)).toEqual([
    8, 8, 16, 16, 24,
  ]);
});

test('the parts of one object hold a hundred thousand times the first one', () => {
  let sizeBytes = 0;
  for (let number = 1; number <= mostParts; number++) sizeBytes += partBytesOf(number, 8 * mebibyte);
  expect(sizeBytes / (8 * mebibyte)).toBeGreaterThan(100_000);
});

test.each([1, 6, 10])('requests of %i MiB each bring as much as half of that', (chunk) => {
  const chunkBytes = chunk * mebibyte;
  let sizeBytes = 0;
  for (let number = 1; number <= mostParts; number++) {
    const leastBytes = leastBytesAtEnd(number, 8 * mebibyte);
    expect(leastBytes).toBeGreaterThanOrEqual(leastPartBytes);
    // It has to fit into the memory of a part, beside what is held back.
    expect(leastBytes).toBeLessThanOrEqual(partBytesOf(number, 8 * mebibyte));
    sizeBytes += Math.ceil(leastBytes / chunkBytes) * chunkBytes;
  }
  expect(sizeBytes / (8 * mebibyte)).toBeGreaterThan(50_000);
});
