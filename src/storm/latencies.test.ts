import { expect, test } from 'bun:test';
import { Latencies } from './latencies.ts';

test('a quantile is right within a step of 4 %, and the longest latency exactly', () => {
  const latencies = new Latencies();
  for (let ms = 1; ms <= 1000; ms += 1) latencies.add(ms);
  expect(latencies.quantileMs(0.5) / 500).toBeWithin(1, 1.041);
  expect(latencies.quantileMs(0.99) / 990).toBeWithin(1, 1.041);
  expect([latencies.quantileMs(1), latencies.maxMs, latencies.count]).toEqual([1000, 1000, 1000]);
});

test('the latencies of two processes together are those of one that has seen both', () => {
  const [together, one, other] = [new Latencies(), new Latencies(), new Latencies()];
  for (let ms = 1; ms <= 100; ms += 1) {
    together.add(ms);
    (ms % 3 === 0 ? one : other).add(ms);
  }
  one.merge(other.counts);
  expect(one.maxMs).toBe(together.maxMs);
  for (const share of [0.1, 0.5, 0.99]) expect(one.quantileMs(share)).toBe(together.quantileMs(share));
});
