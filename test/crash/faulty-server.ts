import { openSync, writeSync } from 'node:fs';
import { loadConfig } from '../../src/config/load.ts';
import { createLog } from '../../src/log/log.ts';
import { parsePolicySet } from '../../src/retention/policy-set.ts';
import { startServer } from '../../src/server/server.ts';
import { testedBucket } from '../pairs/pair.ts';
import { callsThatReach, type FailurePoint } from './failure-points.ts';
import { failureAt } from './failures.ts';

/**
 * A registry that ends, or whose calls fail, at a failure point, and whose time moves on by an hour with each SIGUSR2.
 * It writes each point that it reaches into a file, a line each. What it does is in its environment, and where its stores
 * are, as for any registry.
 */
const hourMs = 3_600_000;
/** What is full stays so for some calls. */
const callsOfFull = 5;

const environment = {
  data: given('CRASH_DATA'),
  listen: given('CRASH_LISTEN'),
  reached: given('CRASH_REACHED'),
  clockMs: Number(given('CRASH_CLOCK_MS')),
  fault: process.env['CRASH_FAULT'],
  point: process.env['CRASH_POINT'],
  nth: Number(process.env['CRASH_NTH']),
};

const reached = openSync(environment.reached, 'a');
const counts = new Map<FailurePoint, number>();

function reach(point: FailurePoint): void {
  const count = (counts.get(point) ?? 0) + 1;
  counts.set(point, count);
  writeSync(reached, `${point}\n`);
  if (point !== environment.point || count < environment.nth) return;
  switch (environment.fault) {
    case 'kill':
      process.kill(process.pid, 'SIGKILL');
      return;
    case 'error':
    case 'lost-answer':
      if (count === environment.nth) throw failureAt(point, environment.fault);
      return;
    case 'full':
      if (count < environment.nth + callsOfFull) throw failureAt(point, environment.fault);
      return;
    default:
      throw new Error(`there is no fault ${environment.fault}`);
  }
}

function given(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not given`);
  return value;
}

let clockMs = environment.clockMs;
const flags = new Map(
  Object.entries({
    data: environment.data,
    listen: environment.listen,
    'windows.lease': '10m',
    'windows.neverTagged': '20m',
    'windows.upload': '30m',
    'windows.trash': '30m',
    // Longer than a test takes: what policies let go goes when an hour passes.
    'retention.delay': '30m',
    'windows.condemned': '0',
    'http.drain': '1s',
    'log.level': 'warn',
    // The least there is: what is larger goes in several.
    ...(testedBucket !== undefined && { 's3.partSize': '5MiB' }),
  }),
);
const loaded = await loadConfig({ flags, env: process.env, readFile: () => '' });
if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
const policies = parsePolicySet([
  {
    repositories: 'scratch',
    default: 'prune',
    rules: [{ action: 'keep', mostRecentlyPushedCount: 1 }],
    rails: { grace: '0', tagsPerDay: '100%', bytesPerDay: '100%' },
  },
]);
if (!policies.ok) throw new Error(policies.problems.join('\n'));
const server = await startServer({
  config: loaded.config,
  policies: policies.set,
  log: await createLog({ level: 'warn', format: 'json' }),
  clock: { monotonic: () => performance.now() + clockMs, now: () => Date.now() + clockMs },
  syncs: callsThatReach(reach),
});
process.on('SIGUSR2', () => {
  clockMs += hourMs;
  writeSync(reached, 'an hour\n');
  server.collector.wake();
  server.pruner?.wake();
});
process.on('SIGTERM', () => {
  void server.stop().finally(() => process.exit(0));
});
