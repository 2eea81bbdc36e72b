import { expect, test } from 'bun:test';
import { bytesText, Table, tableText } from './table.ts';

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

test('a table that comes in pages has its titles once, and columns that only grow', () => {
  const table = new Table(['NAME', 'SIZE']);
  expect(table.isEmpty).toBe(true);
  expect(table.page([['a', '3 B']])).toBe(['NAME  SIZE', 'a      3 B'].join('\n'));
  expect(table.page([['longer', '1.5 KiB']])).toBe('longer  1.5 KiB');
  expect(table.page([['b', '4 B']])).toBe('b           4 B');
  expect(table.isEmpty).toBe(false);
});
