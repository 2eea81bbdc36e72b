import { expect, test } from 'bun:test';
import { type Check, walk } from './check.ts';
import type { Finding } from './finding.ts';

/** A check of two things, in pages of one, that finds what `findingsOf` says of a thing at its first and its second look. */
function checkOf(findingsOf: (key: string, look: number) => readonly Finding[]): Check<string> {
  const looks = new Map<string, number>();
  const keys = ['a', 'b'];
  return {
    name: 'things',
    keysAfter: (after) => keys.slice(after === undefined ? 0 : keys.indexOf(after) + 1).slice(0, 1),
    look(key) {
      const count = (looks.get(key) ?? 0) + 1;
      looks.set(key, count);
      return findingsOf(key, count);
    },
  };
}

function finding(about: string, code: Finding['code'] = 'F1'): Finding {
  return { code, severity: 'loss', about, message: '', advice: '' };
}

test('only what a second look finds too is told: the first may have seen a row before a change and its file after it', async () => {
  const once = checkOf((key, look) => (look === 1 ? [finding(key)] : []));
  expect(await Array.fromAsync(walk(once, () => undefined))).toEqual([]);
  const other = checkOf((key, look) => [finding(key, look === 1 ? 'F1' : 'F2')]);
  expect(await Array.fromAsync(walk(other, () => undefined))).toEqual([]);
  const always = checkOf((key) => [finding(key)]);
  expect(await Array.fromAsync(walk(always, () => undefined))).toEqual([finding('a'), finding('b')]);
});
