import { expect, test } from 'bun:test';
import type { ListedObject } from './listings.ts';
import { type Kept, Removals } from './removals.ts';

interface Request {
  readonly keys: readonly string[];
  readonly answer: (kept?: readonly Kept[]) => void;
  readonly fail: (error: Error) => void;
}

function removals() {
  const requests: Request[] = [];
  const shared = new Removals((objects) => {
    const { promise, resolve, reject } = Promise.withResolvers<readonly Kept[]>();
    requests.push({ keys: objects.map(({ key }) => key), answer: (kept = []) => resolve(kept), fail: reject });
    return promise;
  });
  const ask = (...keys: readonly string[]) => shared.remove(keys.map((key): ListedObject => ({ key })));
  return { requests, ask };
}

/** What is sent once everything that has ended is known. */
async function settled(): Promise<void> {
  await new Promise(setImmediate);
}

test('what is asked for while a request is under way goes with the next one', async () => {
  const { requests, ask } = removals();
  const first = ask('a');
  const others = [ask('b'), ask('c', 'd'), ask()];
  await settled();
  expect(requests.map(({ keys }) => keys)).toEqual([['a']]);
  requests[0]?.answer();
  expect(await first).toEqual([]);
  await settled();
  expect(requests.map(({ keys }) => keys)).toEqual([['a'], ['b', 'c', 'd']]);
  requests[1]?.answer();
  expect(await Promise.all(others)).toEqual([[], [], []]);
});

test('each learns of what stays of its own, and no other', async () => {
  const { requests, ask } = removals();
  const asked = [ask('a'), ask('b', 'c'), ask('d')];
  await settled();
  requests[0]?.answer();
  await settled();
  const kept = { key: 'c', reason: 'locked' };
  requests[1]?.answer([kept]);
  expect(await Promise.all(asked)).toEqual([[], [kept], []]);
});

test('a request that fails fails those that it was for, and the next one goes all the same', async () => {
  const { requests, ask } = removals();
  const first = ask('a').catch((error: unknown) => error);
  const second = ask('b');
  await settled();
  requests[0]?.fail(new Error('no'));
  expect(await first).toEqual(new Error('no'));
  await settled();
  requests[1]?.answer();
  expect(await second).toEqual([]);
});

test('a request has a thousand keys at most', async () => {
  const { requests, ask } = removals();
  const asked = ask(...Array.from({ length: 2500 }, (_, index) => String(index)));
  for (const length of [1000, 1000, 500]) {
    await settled();
    expect(requests.at(-1)?.keys).toHaveLength(length);
    requests.at(-1)?.answer();
  }
  expect(await asked).toEqual([]);
});
