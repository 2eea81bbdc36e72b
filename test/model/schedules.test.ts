import { describe, expect, test } from 'bun:test';
import { explore, toldOf } from './explore.ts';
import { ownPair, pairName } from '../pairs/pair.ts';
import { regressions } from './regressions.ts';
import { runSchedule } from './run-schedule.ts';

/** `npm run model` makes ten times as many, from other seeds; where they go to servers, each takes far longer. */
const operations = pairName === ownPair ? 10_000 : Number(process.env['MODEL_OPERATIONS'] ?? 2000);
const withinMs = 600_000;

test(
  'whatever clients, the collector, the clock and kill -9 do, what is held can be pulled, and nothing else stays',
  async () => {
    const explored = await explore(Date.now(), operations);
    console.log(toldOf(explored));
    if (explored.failure !== undefined) {
      const { schedule, error } = explored.failure;
      throw new Error(`seed ${explored.seed} fails: ${JSON.stringify(schedule)}`, { cause: error });
    }
  },
  withinMs,
);

describe('a schedule that was once not stood is stood now:', () => {
  test.each(regressions)('$name', async ({ schedule }) => {
    expect(await runSchedule(schedule)).toBeGreaterThan(0);
  });
});
