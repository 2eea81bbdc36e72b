import { expect, test } from 'bun:test';
import { formatByteSize, parseByteSize } from './byte-size.ts';

test.each([
  ['0B', 0],
  ['4194304B', 4_194_304],
  ['4MiB', 4_194_304],
  ['4 MiB', 4_194_304],
  ['10MB', 10_000_000],
  ['1kB', 1000],
  ['2GiB', 2_147_483_648],
  ['9007199254740991B', Number.MAX_SAFE_INTEGER],
])('the size %s is %d bytes', (text, sizeBytes) => {
  expect(parseByteSize(text)).toEqual({ ok: true, sizeBytes });
});

test.each([
  ['4194304', 'add a unit, as in 4194304B or 4194304MiB'],
  ['4mb', '"mb" is not a unit: there are B, kB, MB, GB, KiB, MiB, GiB'],
  ['1.5MiB', 'this is not a size'],
  ['-1B', 'this is not a size'],
  ['', 'this is not a size'],
  ['9007199254740992B', 'this is too large'],
  ['8388608GiB', 'this is too large'],
  [`${'9'.repeat(400)}B`, 'this is too large'],
])('the size "%s" is refused: %s', (text, problem) => {
  expect(parseByteSize(text)).toEqual({ ok: false, problem });
});

test.each([
  [0, '0B'],
  [4_194_304, '4MiB'],
  [10_000_000, '10MB'],
  [1_048_577, '1048577B'],
  [53_687_091_200, '50GiB'],
])('%d bytes are written %s', (sizeBytes, text) => {
  expect(formatByteSize(sizeBytes)).toBe(text);
});
