import { expect, test } from 'bun:test';
import { getEventListeners } from 'node:events';
import { waitUnlessAborted } from './wait.ts';

test('a process that waits for its turn for long keeps nothing of each look', async () => {
  const { signal } = new AbortController();
  for (let look = 0; look < 3; look++) await waitUnlessAborted(0, signal);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

test('a wait ends with the signal, and does not begin after it', async () => {
  const ending = new AbortController();
  const waiting = waitUnlessAborted(3_600_000, ending.signal);
  ending.abort();
  await waiting;
  await waitUnlessAborted(3_600_000, ending.signal);
  expect(getEventListeners(ending.signal, 'abort')).toEqual([]);
});
