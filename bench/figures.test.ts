import { expect, test } from 'bun:test';
import { figures, median, timesBetter } from './figures.ts';

test('the median of an odd number of rounds is the middle one, whatever their order', () => {
  expect(median([30, 10, 20])).toBe(20);
});

test('the median of an even number of rounds lies between the middle two', () => {
  expect(median([40, 10, 20, 30])).toBe(25);
});

test('a registry that could not be measured has no median', () => {
  expect(median([])).toBeUndefined();
});

test('three times the throughput and a third of the CPU time are both three times better', () => {
  expect(timesBetter(figures.pushMBs, 750, 250)).toBe(3);
  expect(timesBetter(figures.pushCpu, 1, 3)).toBe(3);
});
