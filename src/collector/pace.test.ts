import { expect, test } from 'bun:test';
import { Pace, type PaceParts } from './pace.ts';

const minuteMs = 60_000;

/** A pace of 16 reviews at once, 1000 a second, a tenth of the time beside requests, but for what is said. */
function paceOf(parts: Partial<PaceParts>): Pace {
  return new Pace({
    batch: 16,
    perSecond: 1000,
    shareBesideRequests: 0.1,
    quietMs: () => Infinity,
    isHurried: () => false,
    ...parts,
  });
}

const beside = { quietMs: () => 0 };

test('without requests it works in batches, and rests as long as the rate asks for', () => {
  const pace = paceOf({});
  expect(pace.atOnce).toBe(16);
  expect(pace.restMs({ reviews: 16, tookMs: 6, waitedMs: 0 })).toBe(10);
  expect(pace.restMs({ reviews: 16, tookMs: 16, waitedMs: 0 })).toBe(0);
  expect(pace.restMs({ reviews: 16, tookMs: 50, waitedMs: 60 * minuteMs })).toBe(0);
});

test('beside requests it makes one review at a time, and takes its share of the time (R49)', () => {
  const pace = paceOf(beside);
  expect(pace.atOnce).toBe(1);
  expect(pace.restMs({ reviews: 1, tookMs: 2, waitedMs: 0 })).toBeCloseTo(18);
  expect(pace.restMs({ reviews: 1, tookMs: 50, waitedMs: 0 })).toBe(100);
  expect(paceOf({ ...beside, shareBesideRequests: 1 }).restMs({ reviews: 1, tookMs: 4, waitedMs: 0 })).toBe(0);
});

test('beside requests, too, it keeps to the rate', () => {
  expect(paceOf({ ...beside, perSecond: 2 }).restMs({ reviews: 1, tookMs: 4, waitedMs: 0 })).toBe(496);
});

test('for a quarter of a second after the last request it expects others', () => {
  expect(paceOf({ quietMs: () => 249 }).atOnce).toBe(1);
  expect(paceOf({ quietMs: () => 250 }).atOnce).toBe(16);
});

test('its share doubles with every ten minutes that it is late, up to a half', () => {
  const restMs = (waitedMs: number, shareBesideRequests = 0.1) =>
    paceOf({ ...beside, shareBesideRequests }).restMs({ reviews: 1, tookMs: 2, waitedMs });
  expect(restMs(10 * minuteMs)).toBeCloseTo(8);
  expect(restMs(20 * minuteMs)).toBeCloseTo(3);
  expect(restMs(60 * minuteMs)).toBeCloseTo(2);
  expect(restMs(60 * minuteMs, 0.8)).toBeCloseTo(0.5);
});

test('on a short disk it rests for nobody', () => {
  const pace = paceOf({ ...beside, isHurried: () => true });
  expect(pace.atOnce).toBe(16);
  expect(pace.restMs({ reviews: 16, tookMs: 1, waitedMs: 0 })).toBe(0);
});

test('work of another kind may ask for a share of its own, and rest for longer', () => {
  const worked = { reviews: 1, tookMs: 200, waitedMs: 0 };
  expect(paceOf(beside).restMs({ ...worked, mostMs: 5000 })).toBe(1800);
  expect(paceOf(beside).restMs({ ...worked, mostMs: 5000, leastShare: 0.2 })).toBe(800);
  expect(paceOf(beside).restMs({ ...worked, mostMs: 500 })).toBe(500);
});
