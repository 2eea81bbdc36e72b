import { expect, test } from 'bun:test';
import { growthOf, reachedInMs } from './forecast.ts';

const hourMs = 3_600_000;

function hourly(...bytes: readonly number[]) {
  return bytes.map((each, hour) => ({ at: hour * hourMs, bytes: each }));
}

test('growth is that of most hours, whatever a few of them brought', () => {
  const steady = Array.from({ length: 24 }, (_, hour) => hour * 1000);
  expect(growthOf(hourly(...steady))).toBeCloseTo(1000 / hourMs);
  expect(growthOf(hourly(...steady.with(5, 900_000).with(17, 0)))).toBeCloseTo(1000 / hourMs);
});

test('what shrinks grows by less than nothing, and never reaches a bound', () => {
  const growth = growthOf(hourly(900, 800, 700, 600));
  expect(growth).toBeCloseTo(-100 / hourMs);
  expect(reachedInMs(600, 1000, growth)).toBeUndefined();
});

test('little can be said of few samples, or of some minutes', () => {
  expect(growthOf([])).toBeUndefined();
  expect(growthOf(hourly(1, 2))).toBeUndefined();
  expect(growthOf([0, 1, 2, 3].map((minute) => ({ at: minute * 60_000, bytes: minute })))).toBeUndefined();
  expect(reachedInMs(1, 2, undefined)).toBeUndefined();
});

test('a bound is reached when what is left to it has grown, or is passed already', () => {
  expect(reachedInMs(400, 1000, 100 / hourMs)).toBeCloseTo(6 * hourMs);
  expect(reachedInMs(1000, 1000, -1)).toBe(0);
});
