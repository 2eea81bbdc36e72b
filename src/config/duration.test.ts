import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { formatDuration, longestDurationMs, parseDuration } from './duration.ts';

test.each([
  ['200ms', 200],
  ['30s', 30_000],
  ['10m', 600_000],
  ['6h', 21_600_000],
  ['30d', 2_592_000_000],
  ['1h30m', 5_400_000],
  ['1d2h3m4s5ms', 93_784_005],
  ['0', 0],
  ['0s', 0],
])('the duration %s is %d ms', (text, ms) => {
  expect(parseDuration(text)).toEqual({ ok: true, ms });
});

test('a number without a unit is refused with the advice to add one', () => {
  expect(parseDuration('200')).toEqual({ ok: false, problem: 'add a unit, as in 200ms, 200s, 200m or 200h' });
});

test.each(['', ' ', '6 h', '6H', '-6h', '1.5h', '30m1h', '6h6h', 'h', '6hours', '∞'])(
  'the text "%s" is not a duration',
  (text) => {
    expect(parseDuration(text)).toEqual({ ok: false, problem: 'this is not a duration' });
  },
);

test.each(['365001d', '999999999999d', `${'9'.repeat(400)}ms`, `365000d1ms`])(
  'the duration %s is too long to be one',
  (text) => {
    expect(parseDuration(text)).toEqual({ ok: false, problem: 'this is longer than a thousand years' });
  },
);

test('every duration that is shown can be read back', () => {
  fc.assert(
    fc.property(fc.nat({ max: longestDurationMs }), (ms) => {
      expect(parseDuration(formatDuration(ms))).toEqual({ ok: true, ms });
    }),
    { numRuns: 300 },
  );
});
