import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { TokenBuckets } from './token-buckets.ts';

class Clock {
  ms = 0;
  readonly now = (): number => this.ms;
}

test('a client may take its burst at once, and then what the rate gives', () => {
  const clock = new Clock();
  const buckets = new TokenBuckets({ perSecond: 2, burst: 3 }, clock.now);
  expect([1, 2, 3, 4].map(() => buckets.take('a'))).toEqual([0, 0, 0, 500]);
  clock.ms = 499;
  expect(buckets.take('a')).toBeCloseTo(1);
  clock.ms = 500;
  expect([buckets.take('a'), buckets.take('a')]).toEqual([0, 500]);
});

test('what one client takes is not taken from another', () => {
  const buckets = new TokenBuckets({ perSecond: 1, burst: 1 }, () => 0);
  expect([buckets.take('a'), buckets.take('b'), buckets.take('a')]).toEqual([0, 0, 1000]);
});

test('however long a client is silent, it may take no more than its burst at once', () => {
  const clock = new Clock();
  const buckets = new TokenBuckets({ perSecond: 100, burst: 2 }, clock.now);
  buckets.take('a');
  clock.ms = 3_600_000;
  expect([1, 2, 3].map(() => buckets.take('a') === 0)).toEqual([true, true, false]);
});

test('what was used beyond what there is has to be made up for, but for no longer than ten minutes', () => {
  const clock = new Clock();
  const buckets = new TokenBuckets({ perSecond: 10, burst: 100 }, clock.now);
  buckets.charge('a', 100 + 50);
  expect(buckets.waitMs('a')).toBe(5100);
  buckets.charge('a', 1e12);
  expect(buckets.waitMs('a')).toBe(600_100);
  clock.ms = 600_100;
  expect(buckets.waitMs('a')).toBe(0);
});

test('where there are too many clients, the one seen longest ago is forgotten', () => {
  const buckets = new TokenBuckets({ perSecond: 1, burst: 1 }, () => 0, 2);
  buckets.take('a');
  buckets.take('b');
  expect(buckets.take('a')).toBe(1000);
  buckets.take('c');
  expect(buckets.size).toBe(2);
  expect(buckets.take('a')).toBe(1000);
  expect(buckets.take('b')).toBe(0);
});

test('within any time, a client takes no more than its burst and what the rate gives in that time', () => {
  const steps = fc.array(fc.record({ afterMs: fc.nat(2000), takes: fc.nat(20) }), { maxLength: 30 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 50 }), steps, (perSecond, burst, all) => {
      const clock = new Clock();
      const buckets = new TokenBuckets({ perSecond, burst }, clock.now);
      let taken = 0;
      for (const { afterMs, takes } of all) {
        clock.ms += afterMs;
        for (let each = 0; each < takes; each++) if (buckets.take('a') === 0) taken++;
        expect(taken).toBeLessThanOrEqual(burst + (clock.ms / 1000) * perSecond + 1e-6);
      }
    }),
  );
});
