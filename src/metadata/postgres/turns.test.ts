import { afterEach, beforeEach, describe, expect, jest, test } from 'bun:test';
import { type Turn, Turns } from './turns.ts';

/** Of a test in which nobody is too long. */
const patient = { turnMs: 60_000, waitMs: 60_000, crowdedMs: 60_000 };
const still = (): number => 0;

interface Step {
  /** How it went. */
  readonly done: Promise<Turn>;
  readonly end: () => void;
}

/** Steps that note when they begin and end, and end when they are told to. */
function steps(): { readonly seen: string[]; step: (turns: Turns, how: 'together' | 'alone', name: string) => Step } {
  const seen: string[] = [];
  return {
    seen,
    step(turns, how, name) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const done = turns[how](async (turn) => {
        seen.push(`${name} begins`);
        await promise;
        seen.push(`${name} ends`);
        return turn;
      });
      return { done, end: () => resolve() };
    },
  };
}

async function itsTurn(turn: Turn): Promise<Turn> {
  return await Promise.resolve(turn);
}

async function turnsOfTheLoop(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
}

test('those who go together do not wait for each other', async () => {
  const turns = new Turns(still, patient);
  const { seen, step } = steps();
  const [a, b] = [step(turns, 'together', 'a'), step(turns, 'together', 'b')];
  expect(seen).toEqual(['a begins', 'b begins']);
  b.end();
  a.end();
  await Promise.all([a.done, b.done]);
});

test('who goes alone waits for those before it, and those after it wait', async () => {
  const turns = new Turns(still, patient);
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
  const turns = new Turns(still, patient);
  const failing = turns.alone(() => Promise.reject(new Error('no')));
  const next = turns.together(() => Promise.resolve('yes'));
  expect(await failing.catch(String)).toBe('Error: no');
  expect(await next).toBe('yes');
});

describe('one that does not come to its end', () => {
  const aloneImpatient = { ...patient, turnMs: 5 };
  const allImpatient = { ...patient, waitMs: 5 };
  const crowdedMs = 1000;

  test('is not waited for by who wants to go alone, nor by those after that, nor by whoever comes for a while', async () => {
    let now = 0;
    const turns = new Turns(() => now, { ...aloneImpatient, crowdedMs });
    const stuck = Promise.withResolvers<void>();
    const standing = turns.together(() => stuck.promise);
    const waiting = [turns.alone(itsTurn), turns.alone(itsTurn), turns.together(itsTurn)];
    expect(await Promise.all(waiting)).toEqual(['beside-others', 'beside-others', 'beside-others']);
    now += crowdedMs - 1;
    expect(await turns.alone(itsTurn)).toBe('beside-others');
    expect(await turns.together(itsTurn)).toBe('beside-others');
    now += 1;
    expect(await turns.together(itsTurn)).toBe('together');
    stuck.resolve();
    await standing;
    expect(await turns.alone(itsTurn)).toBe('alone');
  });

  test('while it goes alone is not waited for by those who go together, nor by the next who wants to go alone', async () => {
    const turns = new Turns(still, allImpatient);
    const stuck = Promise.withResolvers<void>();
    const standing = turns.alone(() => stuck.promise);
    expect(await Promise.all([turns.together(itsTurn), turns.alone(itsTurn)])).toEqual([
      'beside-others',
      'beside-others',
    ]);
    stuck.resolve();
    await standing;
  });

  test('and somebody has found out is not waited for by those who wait already, nor by those who come then', async () => {
    const turns = new Turns(still, patient);
    const stuck = Promise.withResolvers<void>();
    const standing = turns.together(() => stuck.promise);
    const waiting = [turns.alone(itsTurn), turns.alone(itsTurn), turns.together(itsTurn)];
    turns.crowd();
    expect(await Promise.all(waiting)).toEqual(['beside-others', 'beside-others', 'beside-others']);
    expect(await turns.alone(itsTurn)).toBe('beside-others');
    stuck.resolve();
    await standing;
  });
});

describe('as long as one after the other comes to its end', () => {
  const patience = { turnMs: 500, waitMs: 2000, crowdedMs: 5000 };

  beforeEach(() => {
    jest.useFakeTimers();
  });

  afterEach(() => {
    jest.useRealTimers();
  });

  async function endAfter(ms: number, { end, done }: Step): Promise<void> {
    jest.advanceTimersByTime(ms);
    await turnsOfTheLoop();
    end();
    await done;
    await turnsOfTheLoop();
  }

  test('who goes alone waits for those under way, and those behind it for all of them', async () => {
    const turns = new Turns(still, patience);
    const { seen, step } = steps();
    const underWay = [1, 2, 3, 4, 5].map((at) => step(turns, 'together', String(at)));
    const waiting = [turns.alone(itsTurn), turns.alone(itsTurn), turns.together(itsTurn)];
    for (const one of underWay) await endAfter(patience.turnMs - 1, one);
    expect(await Promise.all(waiting)).toEqual(['alone', 'alone', 'together']);
    expect(seen).toHaveLength(10);
  });

  test('twenty who go alone wait for each other, and who goes together for all of them', async () => {
    const turns = new Turns(still, patience);
    const { seen, step } = steps();
    const names = Array.from({ length: 20 }, (_, at) => String(at));
    const lone = names.map((name) => step(turns, 'alone', name));
    const together = turns.together(itsTurn);
    for (const one of lone) await endAfter(120, one);
    expect(await Promise.all(lone.map(({ done }) => done))).toEqual(names.map(() => 'alone'));
    expect(seen).toEqual(names.flatMap((name) => [`${name} begins`, `${name} ends`]));
    expect(await together).toBe('together');
    expect(await turns.alone(itsTurn)).toBe('alone');
  });

  test('and no longer: who waits for one that stands still goes on beside it', async () => {
    const turns = new Turns(still, patience);
    const { seen, step } = steps();
    const [ending, standing] = [step(turns, 'alone', 'ending'), step(turns, 'alone', 'standing')];
    const waiting = [step(turns, 'alone', 'a'), step(turns, 'alone', 'b'), step(turns, 'together', 'c')];
    await endAfter(patience.waitMs - 1, ending);
    jest.advanceTimersByTime(patience.waitMs - 1);
    await turnsOfTheLoop();
    expect(seen).toEqual(['ending begins', 'ending ends', 'standing begins']);
    jest.advanceTimersByTime(1);
    await turnsOfTheLoop();
    expect(seen.slice(3).toSorted()).toEqual(['a begins', 'b begins', 'c begins']);
    for (const { end } of [standing, ...waiting]) end();
    expect(await Promise.all(waiting.map(({ done }) => done))).toEqual(waiting.map(() => 'beside-others'));
    await standing.done;
  });
});
