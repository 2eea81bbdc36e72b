import * as fc from 'fast-check';
import { ownPair, pairName } from '../pairs/pair.ts';
import { runSchedule } from './run-schedule.ts';
import { type Schedule, schedules } from './schedule.ts';
import type { Mutation } from './world.ts';

export interface Exploration {
  readonly seed: number;
  readonly schedules: number;
  readonly operations: number;
  /** The smallest schedule found that the registry does not stand, and what it does. */
  readonly failure: { readonly schedule: Schedule; readonly error: unknown } | undefined;
}

/** How many schedules are drawn at a time: where each takes long, one by one. */
const drawnAtOnce = pairName === ownPair ? 25 : 1;

/** Runs random schedules until they have made so many operations, or one has failed and been made small. */
export async function explore(
  seed: number,
  operations: number,
  { mutation, shrinks = true }: { mutation?: Mutation; shrinks?: boolean } = {},
): Promise<Exploration> {
  const made = { operations: 0, schedules: 0 };
  let isFailed = false;
  for (let batch = 0; made.operations < operations; batch++) {
    const property = fc.asyncProperty(schedules, async (schedule) => {
      if (isFailed && !shrinks) return;
      try {
        const count = await runSchedule(schedule, mutation);
        if (!isFailed) made.operations += count;
      } catch (error) {
        isFailed = true;
        throw error;
      }
    });
    const details = await fc.check(property, { seed: seed + batch, numRuns: drawnAtOnce, endOnFailure: !shrinks });
    made.schedules += details.numRuns;
    const [schedule] = details.counterexample ?? [];
    if (schedule !== undefined) {
      return { seed, ...made, failure: { schedule, error: details.errorInstance } };
    }
  }
  return { seed, ...made, failure: undefined };
}

export function toldOf({ seed, schedules: count, operations }: Exploration): string {
  return `seed ${seed}: ${count} schedules, ${operations} operations`;
}
