import { expect, test } from 'bun:test';
import {
  formatStorageBound,
  lowBelow,
  parseStorageBound,
  problemOfBounds,
  type StorageBound,
} from './storage-bound.ts';

function bound(text: string): StorageBound {
  const parsed = parseStorageBound(text);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.bound;
}

test.each([
  ['90%', { unit: 'percent', percent: 90 }],
  ['12.5 %', { unit: 'percent', percent: 12.5 }],
  ['100%', { unit: 'percent', percent: 100 }],
  ['50GiB', { unit: 'bytes', sizeBytes: 53_687_091_200 }],
  ['0B', { unit: 'bytes', sizeBytes: 0 }],
] as const)('the bound %s is read', (text, expected) => {
  expect(bound(text)).toEqual(expected);
  expect(parseStorageBound(formatStorageBound(bound(text)))).toEqual({ ok: true, bound: expected });
});

test.each([
  ['101%', 'this is more than 100%'],
  ['-5%', 'this is not a percentage'],
  ['ninety%', 'this is not a percentage'],
  ['90', 'add a unit, as in 90% or 90GiB'],
  ['50gb', '"gb" is not a unit: there are B, kB, MB, GB, KiB, MiB, GiB'],
  ['', 'this is not a size'],
])('the bound "%s" is refused: %s', (text, problem) => {
  expect(parseStorageBound(text)).toEqual({ ok: false, problem });
});

test('the lower bound is nine tenths of the upper one where it is not given', () => {
  expect(formatStorageBound(lowBelow(bound('90%')))).toBe('81%');
  expect(formatStorageBound(lowBelow(bound('10GB')))).toBe('9GB');
});

test.each([
  ['90%', '80%', undefined],
  ['90%', '90%', 'the lower bound has to be below the upper one'],
  ['10GiB', '20GiB', 'the lower bound has to be below the upper one'],
  ['90%', '20GiB', 'give both in percent, or both in bytes'],
  [undefined, '20GiB', 'set both, or neither'],
])('an upper bound of %s with a lower one of %s: %s', (high, low, problem) => {
  const found = problemOfBounds(high === undefined ? undefined : bound(high), bound(low));
  if (problem === undefined) expect(found).toBeUndefined();
  else expect(found).toContain(problem);
});
