import { expect, test } from 'bun:test';
import { PrintedEvents } from './printed-events.ts';

function page(lastId: number, ...ids: readonly number[]) {
  return { lastId, events: ids.map((id) => ({ id })) };
}

/** What of the events that come by following is printed. */
function newOf(printed: PrintedEvents, ...ids: readonly number[]): readonly number[] {
  const after = printed.after ?? 0;
  return ids.filter((id) => id > after && printed.isNew({ id }));
}

test('following begins after the last event of which all before it are there', () => {
  const printed = new PrintedEvents();
  printed.add(page(7, 5, 6, 7, 9));
  expect(printed.after).toBe(7);
  expect(newOf(printed, 7, 8, 9, 10)).toEqual([8, 10]);
});

test('where nothing is known to be settled, following begins with what was printed and not with the first event', () => {
  const printed = new PrintedEvents();
  printed.add(page(0, 1_000_002, 1_000_001, 1_000_004));
  expect(printed.after).toBe(1_000_000);
  expect(newOf(printed, 1_000_001, 1_000_002, 1_000_003, 1_000_004, 1_000_005)).toEqual([1_000_003, 1_000_005]);
});

test('a number that the first page does not have is not taken from a later one', () => {
  const printed = new PrintedEvents();
  printed.add(page(0, 11, 12));
  printed.add(page(15, 14, 15));
  expect(printed.after).toBe(10);
  expect(newOf(printed, 11, 12, 13, 14, 15, 16)).toEqual([13, 16]);
});

test('of many printed events only the last are kept, and none comes again', () => {
  const printed = new PrintedEvents(2);
  printed.add(page(0, 11, 12, 13, 15));
  expect(printed.after).toBe(12);
  expect(newOf(printed, 11, 12, 13, 14, 15, 16)).toEqual([14, 16]);
});

test('an empty log is followed from its beginning', () => {
  const printed = new PrintedEvents();
  expect(printed.after).toBeUndefined();
  printed.add(page(0));
  expect(printed.after).toBe(0);
  expect(newOf(printed, 1)).toEqual([1]);
});
