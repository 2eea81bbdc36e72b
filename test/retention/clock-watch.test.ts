import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { TestedStores } from '../pairs/tested-stores.ts';
import { ManualClock } from '../server/manual-clock.ts';
import { createLog } from '../../src/log/log.ts';
import type { MetadataStore } from '../../src/metadata/store.ts';
import { anyClient } from '../../src/registry/actor.ts';
import type { Registry } from '../../src/registry/registry.ts';
import { ClockWatch } from '../../src/pruning/clock-watch.ts';

const [hourMs, dayMs] = [3_600_000, 86_400_000];
const settings = { largestStepMs: 600_000, pauseMs: dayMs };

let stores: TestedStores;
let metadata: MetadataStore;
let log: Registry['log'];

beforeEach(async () => {
  stores = new TestedStores('clock-watch');
  metadata = await stores.metadata();
  log = await createLog({ level: 'error', format: 'json', stream: { write: () => undefined } });
});
afterEach(async () => await stores[Symbol.asyncDispose]());

/** The watch of a process that has looked at its clock once. */
async function started(clock: ManualClock): Promise<ClockWatch> {
  const watch = new ClockWatch({ metadata, clock, log }, settings);
  expect(await watch.look()).toBe(true);
  return watch;
}

function resumptions(): readonly string[] {
  return stores
    .beside()
    .tables.rows<{ reason: string }>(`select reason from event where kind = 'retention.resumed'`)
    .map(({ reason }) => reason);
}

describe('where the clock of one of two machines is set,', () => {
  let clocks: readonly [ManualClock, ManualClock];
  let one: ClockWatch;
  let other: ClockWatch;

  beforeEach(async () => {
    clocks = [new ManualClock(), new ManualClock()];
    [one, other] = [await started(clocks[0]), await started(clocks[1])];
  });

  const advance = (ms: number): void => clocks.forEach((clock) => clock.advance(ms));
  const looks = async (): Promise<readonly boolean[]> => [await one.look(), await other.look()];

  describe.each([
    ['ahead', 365 * dayMs],
    ['back', -365 * dayMs],
    ['back by less than a pause lasts', -12 * hourMs],
  ])('%s,', (_, stepMs) => {
    beforeEach(async () => {
      clocks[0].set(stepMs);
      expect(await looks()).toEqual([false, false]);
    });

    test('the other one holds the pause for as long as it lasts', async () => {
      expect(await other.pause()).toMatchObject({ until: clocks[1].now() + dayMs });
      advance(dayMs - 1);
      expect(await looks()).toEqual([false, false]);
      expect(resumptions()).toEqual([]);
      advance(1);
      expect(await looks()).toEqual([true, true]);
      expect([await one.pause(), await other.pause()]).toEqual([undefined, undefined]);
      expect(resumptions()).toEqual(['the clock has gone on steadily since']);
    });

    test('it is over for the other one, too, once it is set right', async () => {
      clocks[0].set(-stepMs);
      expect(await looks()).toEqual([true, true]);
      expect(await other.pause()).toBeUndefined();
      expect(resumptions()).toEqual(['the clock was set right again']);
    });

    test('the other one is told that it is right for both', async () => {
      expect(await other.resume(anyClient, 'it is')).toBe(true);
      expect(await looks()).toEqual([true, true]);
      expect(resumptions()).toEqual(['it is']);
    });

    test('the other one does not take its own small steps for the end of it', async () => {
      for (const minutes of [-8, 12]) {
        clocks[1].set(minutes * 60_000);
        expect(await looks()).toEqual([false, false]);
      }
      expect(resumptions()).toEqual([]);
    });

    test('the other one goes on without it in the end', async () => {
      clocks[1].advance(dayMs);
      expect(await other.look()).toBe(true);
      expect(await one.look()).toBe(false);
    });
  });
});

test('a pause begun by a clock that was ahead is over for a process that starts once that is set right', async () => {
  const clock = new ManualClock();
  const before = await started(clock);
  clock.set(365 * dayMs);
  expect(await before.look()).toBe(false);
  clock.set(-365 * dayMs);
  await started(clock);
  expect(resumptions()).toHaveLength(1);
});
