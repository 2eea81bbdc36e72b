// Plans by a policy for all repositories of a data directory, in a process of its own, and prints what that took.
// usage: plan-process.ts DIRECTORY POLICY NOW
import { readFileSync } from 'node:fs';
import { planRetention } from '../../src/pruning/plan.ts';
import { openRegistry } from './opened-registry.ts';
import { bytesOfStatus } from '../process-tree.ts';
import type { PlanCost } from './plan.ts';
import { isPolicyName, policySetOf } from './policies.ts';

const [directory = '', name = '', nowText = ''] = process.argv.slice(2);
if (!isPolicyName(name)) throw new Error(`there is no policy ${name}`);
const now = Number(nowText);
await using opened = await openRegistry(directory, now);
const cpu = process.cpuUsage();
const startedAt = performance.now();
const counted = { goes: 0, stays: 0, freesBytes: 0 };
for await (const { goes, waits, stays } of planRetention(opened.registry, {
  policies: policySetOf(name),
  repositories: undefined,
  now,
})) {
  counted.goes += goes.length;
  counted.stays += stays.length + waits.length;
  for (const { freesBytes } of goes) counted.freesBytes += freesBytes;
}
const ms = performance.now() - startedAt;
const { user, system } = process.cpuUsage(cpu);
const cost: PlanCost = {
  ms,
  cpuMs: (user + system) / 1000,
  peakBytes: bytesOfStatus(readFileSync('/proc/self/status', 'utf8'), 'VmHWM'),
  ...counted,
};
console.log(JSON.stringify(cost));
