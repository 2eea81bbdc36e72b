/**
 * `node scripts/bun.mjs bench/retention/simulate.ts [FLAGS]`: how long it takes to replay policies over a history of
 * pushes and pulls, and how much memory. The making of the history is not counted. Ends with 1 where a bar is missed.
 */
import { Command, InvalidArgumentError } from 'commander';
import { parsePolicies } from '../../src/retention/parse.ts';
import type { Policy } from '../../src/retention/policy.ts';
import { Simulation } from '../../src/retention/simulate/simulation.ts';
import { type Bar, barTable, isMissed } from '../bars.ts';
import { generatedHistory } from './generated-history.ts';

const options = new Command('bench:simulate')
  .option('--repositories <count>', 'how many repositories', wholeNumber, 200)
  .option('--pushes <count>', 'how many pushes they have together', wholeNumber, 100_000)
  .option('--pulls <count>', 'how many pulls they have together', wholeNumber, 2_000_000)
  .option('--only <words>', 'only the policy whose name has these words in it', '')
  .option('--days <count>', 'over how many days', wholeNumber, 90)
  .parse()
  .opts<{ repositories: number; pushes: number; pulls: number; only: string; days: number }>();

const now = Date.UTC(2030, 0, 31, 12);
const rails = { tagsPerDay: '20%', bytesPerDay: '20%' };
const kinds = {
  'three rules': {
    repositories: '**',
    default: 'prune',
    rules: [
      { action: 'keep', tags: ['latest', 'v*'] },
      { action: 'keep', pulledWithin: '14d' },
      { action: 'keep', mostRecentlyPushedCount: 10 },
    ],
    rails,
  },
  'versions, groups and the last pulled': {
    repositories: '**',
    default: 'prune',
    rules: [
      { action: 'keep', semver: { newest: 2, per: 'minor' } },
      { action: 'keep', groupBy: '/(.+)-[0-9a-f]+/', mostRecentlyPushedCount: 20 },
      { action: 'keep', mostRecentlyPulledCount: 20 },
      { action: 'keep', tags: 'latest' },
    ],
    rails,
  },
  'a budget': {
    repositories: '**',
    default: 'keep',
    rules: [
      { action: 'keep', tags: ['latest', 'v*'] },
      { action: 'prune', budget: '8GiB' },
    ],
    rails,
  },
  'nothing goes': { repositories: '**', default: 'keep', rules: [{ action: 'prune', notPulledFor: '365d' }], rails },
} as const;

const bars: Bar[] = [];
for (const [name, definition] of Object.entries(kinds)) {
  if (!name.includes(options.only)) continue;
  const { seconds, cpuSeconds, peakBytes, rows, totals } = measure(policyOf(definition));
  bars.push({
    what: `${options.pushes} pushes, ${options.pulls} pulls, ${name}`,
    figures: [
      `${rows} rows of pulls`,
      `${totals.prunedTags} tags pruned`,
      `${totals.brokenPulls} pulls broken`,
      `${seconds.toFixed(1)} s`,
      `peak ${Math.round(peakBytes / 2 ** 20)} MiB`,
    ],
    is: cpuSeconds,
    limit: 30,
    better: 'lower',
    unit: ' s CPU',
  });
}
console.log(barTable(['', '', '', '', ''], bars));
process.exitCode = bars.some(isMissed) ? 1 : 0;

function measure(policy: Policy) {
  const since = now - options.days * 86_400_000;
  const simulation = new Simulation({ policies: [policy], since, now });
  let [seconds, cpuSeconds, rows, peakBytes] = [0, 0, 0, 0];
  const timed = <T>(work: () => T): T => {
    const cpu = process.cpuUsage();
    const started = performance.now();
    const result = work();
    seconds += (performance.now() - started) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    cpuSeconds += (user + system) / 1e6;
    return result;
  };
  for (let index = 0; index < options.repositories; index += 1) {
    const history = generatedHistory(index, { ...options, now });
    rows += history.pulls.length;
    timed(() => done(simulation.add(history)));
    peakBytes = Math.max(peakBytes, process.memoryUsage.rss());
  }
  const totals = timed(() => done(simulation.totals()));
  return { seconds, cpuSeconds, rows, peakBytes: Math.max(peakBytes, process.memoryUsage.rss()), totals };
}

function done<T>(steps: Generator<undefined, T, undefined>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

function policyOf(definition: object): Policy {
  const parsed = parsePolicies([definition]);
  const [policy] = parsed.ok ? parsed.policies : [];
  if (policy === undefined) throw new Error(parsed.ok ? 'no policy' : parsed.problems.join('\n'));
  return policy;
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,7}$/.test(text)) throw new InvalidArgumentError('It takes a whole number.');
  return Number(text);
}
