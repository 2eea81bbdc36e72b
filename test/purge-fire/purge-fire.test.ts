import { expect, setDefaultTimeout, test } from 'bun:test';
import { SeededRandom } from '../../src/storm/seeded-random.ts';
import type { Fault } from './burning-registry.ts';
import { purgeUnderFire } from './fire.ts';

setDefaultTimeout(15 * 60_000);

/** For how long purges are killed at one failure point after the other. */
const budgetMs = Number(process.env['PURGE_FIRE_MS'] ?? 170_000);
const seed = Number(process.env['PURGE_FIRE_SEED'] ?? Date.now() % 1_000_000);
/** Those that are tried in any case: around what makes a purge effective, and X1 and X2. */
const always = new Set(['after commit 1', 'before truncate 1', 'after truncate 1', 'after unlink 1']);

/** How often it is tried to kill a purge at one of these. */
const mostTries = 3;

const faults: { readonly fault: Fault; readonly isShredding: boolean }[] = [];

test.each([false, true])(
  'under fire, a purge that is acknowledged leaves nothing of its content (overwriting it: %p)',
  async (isShredding) => {
    const report = await purgeUnderFire({ isShredding });
    expect(report.problems).toEqual([]);
    expect(report.wasKilled).toBe(false);
    const { lateBytes, onTheWayBytes, refusals } = report;
    console.log(`50 downloads got ${lateBytes} bytes late, ${onTheWayBytes} were on their way; ${refusals} refusals`);
    const counts = new Map<string, number>();
    for (const point of report.reached) {
      const nth = (counts.get(point) ?? 0) + 1;
      counts.set(point, nth);
      const isOfShredding = point.endsWith(' overwrite') || point.endsWith(' syncObject');
      // Each piece that is overwritten is a call like the others.
      if (isShredding ? isOfShredding && nth <= 2 : true) faults.push({ fault: { point, nth }, isShredding });
    }
    for (const call of ['commit', 'syncLog', 'truncate', 'unlink', 'syncShard']) {
      expect([call, counts.has(`before ${call}`), counts.has(`after ${call}`)]).toEqual([call, true, true]);
    }
  },
);

test('killed with -9 at its failure points, under fire, it leaves nothing either once the registry is there again', async () => {
  const random = new SeededRandom(seed);
  const drawn = faults.map((one) => ({ one, lot: random.next() })).toSorted((a, b) => a.lot - b.lot);
  const order = drawn.map(({ one }) => one);
  const isFirst = ({ fault: { point, nth } }: (typeof faults)[number]): boolean => always.has(`${point} ${nth}`);
  const waiting = [...order.filter(isFirst), ...order.filter((one) => !isFirst(one))];
  const deadline = performance.now() + budgetMs;
  const problems: string[] = [];
  const killed: string[] = [];
  const missed: string[] = [];
  let repeated = 0;
  for (const one of waiting) {
    const name = `${one.fault.point} ${one.fault.nth}`;
    if (performance.now() > deadline && !isFirst(one)) break;
    try {
      // With others at work beside it, a purge does not come to each call every time.
      let wasKilled = false;
      for (let tries = isFirst(one) ? mostTries : 1; tries > 0 && !wasKilled; tries -= 1) {
        const report = await purgeUnderFire(one);
        problems.push(...report.problems.map((problem) => `${name}: ${problem}`));
        if (report.wasRepeated) repeated += 1;
        wasKilled = report.wasKilled;
      }
      (wasKilled ? killed : missed).push(name);
    } catch (error) {
      problems.push(`${name}: ${String(error)}`);
    }
  }
  console.log(
    `killed at ${killed.length} of ${faults.length} failure points (PURGE_FIRE_SEED=${seed}), ${repeated} times before the purge had begun; not reached: ${missed.join(', ') || 'none'}`,
  );
  const missedOfAlways = [...always].filter((name) => !killed.includes(name));
  expect({ problems, missedOfAlways }).toEqual({ problems: [], missedOfAlways: [] });
});
