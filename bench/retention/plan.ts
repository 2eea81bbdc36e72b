import { join } from 'node:path';
import { z } from 'zod';
import type { Bar } from '../bars.ts';
import { outputOf } from '../command.ts';
import { policyNames, type PolicyName } from './policies.ts';
import { quantile } from './quantile.ts';

const script = join(import.meta.dir, 'plan-process.ts');

const planCost = z.object({
  ms: z.number(),
  cpuMs: z.number(),
  /** The highest that the process's memory ever was. */
  peakBytes: z.number(),
  goes: z.number(),
  stays: z.number(),
  freesBytes: z.number(),
});

/** What a plan for all repositories has cost, and how much it plans. */
export type PlanCost = z.output<typeof planCost>;

/** A plan for all repositories of a data directory, by each policy, each time in a process of its own. */
export async function planBars(directory: string, rounds: number, now: number): Promise<readonly Bar[]> {
  const costs = new Map<PolicyName, PlanCost[]>(policyNames.map((name) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, ofPolicy] of costs) {
      ofPolicy.push(
        planCost.parse(JSON.parse(await outputOf([process.execPath, script, directory, name, String(now)]))),
      );
    }
  }
  return [...costs].flatMap(([name, ofPolicy]) => barsOf(name, ofPolicy));
}

function barsOf(name: PolicyName, costs: readonly PlanCost[]): readonly Bar[] {
  const middle = (value: (cost: PlanCost) => number): number => quantile(costs.map(value), 0.5);
  const share = middle(({ goes, stays }) => goes / (goes + stays));
  const what = `a plan of everything, ${name}: ${(share * 100).toFixed(0)} % goes`;
  return [
    {
      what,
      figures: [
        `${(middle(({ cpuMs }) => cpuMs) / 1000).toFixed(2)} s CPU`,
        `frees ${(middle(({ freesBytes }) => freesBytes) / 1e12).toFixed(2)} TB`,
      ],
      is: middle(({ ms }) => ms) / 1000,
      limit: name === 'three rules' ? 10 : 20,
      better: 'lower',
      unit: ' s',
    },
    {
      what: `memory at its highest, ${name}`,
      figures: ['', ''],
      is: middle(({ peakBytes }) => peakBytes) / 1e6,
      limit: 300,
      better: 'lower',
      unit: ' MB',
    },
  ];
}
