import { expect, test } from 'bun:test';
import { Turns } from './turns.ts';

interface Step {
  readonly done: Promise<unknown>;
  readonly end: () => void;
}

/** Steps that note when they begin and end, and end when they are told to. */
function steps(): { readonly seen: string[]; step: (turns: Turns, how: 'together' | 'alone', name: string) => Step } {
  const seen: string[] = [];
  return {
    seen,
    step(turns, how, name) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const done = turns[how](async () => {
        seen.push(`${name} begins`);
        await promise;
        seen.push(`${name} ends`);
      });
      return { done, end: () => resolve() };
    },
  };
}

async function turnsOfTheLoop(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
}

test('those who go together do not wait for each other', async () => {
  const turns = new Turns();
  const { seen, step } = steps();
  const [a, b] = [step(turns, 'together', 'a'), step(turns, 'together', 'b')];
  expect(seen).toEqual(['a begins', 'b begins']);
  b.end();
  a.end();
  await Promise.all([a.done, b.done]);
});

test('who goes alone waits for those before it, and those after it wait', async () => {
  const turns = new Turns();
  const { seen, step } = steps();
  const [a, b] = [step(turns, 'together', 'a'), step(turns, 'alone', 'b')];
  const [c, d] = [step(turns, 'alone', 'c'), step(turns, 'together', 'd')];
  await turnsOfTheLoop();
  expect(seen).toEqual(['a begins']);
  a.end();
  await turnsOfTheLoop();
  expect(seen.slice(1)).toEqual(['a ends', 'b begins']);
  b.end();
  await turnsOfTheLoop();
  expect(seen.slice(3)).toEqual(['b ends', 'c begins']);
  c.end();
  await turnsOfTheLoop();
  expect(seen.slice(5)).toEqual(['c ends', 'd begins']);
  d.end();
  await Promise.all([a.done, b.done, c.done, d.done]);
});

test('who fails lets the next one go', async () => {
  const turns = new Turns();
  const failing = turns.alone(() => Promise.reject(new Error('no')));
  const next = turns.together(() => Promise.resolve('yes'));
  expect(await failing.catch(String)).toBe('Error: no');
  expect(await next).toBe('yes');
});
