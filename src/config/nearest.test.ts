import { expect, test } from 'bun:test';
import { nearest } from './nearest.ts';

const names = ['windows.lease', 'windows.neverTagged', 'listen', 'data', 'log.level'];

test.each([
  ['windows.leese', 'windows.lease'],
  ['windows.never-tagged', 'windows.neverTagged'],
  ['lisetn', 'listen'],
  ['date', 'data'],
  ['dtaa', 'data'],
  ['LOG_LEVEL', 'log.level'],
])('%s most likely means %s', (word, meant) => {
  expect(nearest(word, names)).toBe(meant);
});

test.each(['storage', 'x', '', 'windows.garbage'])('%s means none of the names', (word) => {
  expect(nearest(word, names)).toBeUndefined();
});
