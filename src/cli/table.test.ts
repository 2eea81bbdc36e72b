import { expect, test } from 'bun:test';
import { bytesText, tableText } from './table.ts';

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1536, '1.5 KiB'],
  [10 * 1024, '10 KiB'],
  [12_884_901_888, '12 GiB'],
])('%d bytes are written as %s', (bytes, text) => {
  expect(bytesText(bytes)).toBe(text);
});

test('a table has its columns under each other, sizes on the right', () => {
  const text = tableText(
    ['NAME', 'SIZE', 'NOTE'],
    [
      ['a', '1.5 KiB', 'x'],
      ['longer', '3 B', ''],
    ],
  );
  expect(text).toBe(['NAME       SIZE  NOTE', 'a       1.5 KiB  x', 'longer      3 B'].join('\n'));
});
