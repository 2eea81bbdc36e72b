import { expect, test } from 'bun:test';
import { ProgressLine } from './progress-line.ts';

test('progress is written over and over at a terminal, some times a second, and goes before anything is printed', () => {
  const written: string[] = [];
  let now = 0;
  const line = new ProgressLine({ isTTY: true, write: (text) => written.push(text) }, () => now);
  line.clear();
  line.show({ name: 'objects', done: 1 });
  line.show({ name: 'objects', done: 2 });
  now += 200;
  line.show({ name: 'objects', done: 1234 });
  line.clear();
  line.clear();
  expect(written).toEqual(['\r\u001B[K1 objects', '\r\u001B[K1,234 objects', '\r\u001B[K']);
});

test('where it is known of how many, there is a bar', () => {
  const written: string[] = [];
  const line = new ProgressLine({ isTTY: true, write: (text) => written.push(text) }, () => 0);
  line.show({ name: 'repositories', done: 500, total: 1000 });
  line.clear();
  expect(written[0]).toBe(`\r\u001B[K[${'#'.repeat(15)}${' '.repeat(15)}]  50 % 500 of 1,000 repositories`);
});

test('nothing of it goes into a file', () => {
  const written: string[] = [];
  const line = new ProgressLine({ isTTY: false, write: (text) => written.push(text) });
  line.show({ name: 'objects', done: 1 });
  line.clear();
  expect(written).toEqual([]);
});
