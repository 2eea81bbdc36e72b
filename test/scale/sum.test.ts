import { expect, test } from 'bun:test';
import { counted } from './sum.ts';

test('the counts of a run are its last ones, with what was skipped among those that failed', () => {
  expect(counted('(pass) 7 pass\n\n 12 pass\n 0 fail\nRan 12 tests', 0)).toEqual({ passed: 12, failed: 0 });
  expect(counted(' 12 pass\n 2 skip\n 1 todo\n 1 fail\n', 1)).toEqual({ passed: 12, failed: 4 });
  expect(counted('Conformance 1.1: 3 passed, 0 failed, 1 excused\n900 passed, 2 failed\n', 1)).toEqual({
    passed: 900,
    failed: 2,
  });
});

test('a run counts as failed that fails without a test that does, or has no test', () => {
  expect(counted(' 12 pass\n 0 fail\n', 1)).toEqual({ passed: 12, failed: 1 });
  expect(counted('error: there is no such file', 1)).toEqual({ passed: 0, failed: 1 });
  expect(counted('', 0)).toEqual({ passed: 0, failed: 1 });
});
