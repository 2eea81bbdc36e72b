/**
 * `npm run bench:retention [-- FLAGS]`: how long it takes to decide by policies of every kind of rule what stays, for
 * repositories that are all new to it, and for one of whose tags one has changed. Ends with 1 where a bar is missed.
 */
import { Command, InvalidArgumentError } from 'commander';
import { evaluate } from '../../src/retention/evaluate.ts';
import { parsePolicies } from '../../src/retention/parse.ts';
import { type Bar, barTable, isReached } from '../collect/bars.ts';
import { generatedFacts } from './generated-facts.ts';

const options = new Command('bench:retention')
  .option('--repositories <count>', 'how many repositories', wholeNumber, 1000)
  .option('--tags <count>', 'how many tags each has', wholeNumber, 1000)
  .option('--changes <count>', 'how often one tag changes', wholeNumber, 2000)
  .parse()
  .opts<{ repositories: number; tags: number; changes: number }>();

const now = Date.UTC(2030, 0, 1);

const simple = policyOf({
  repositories: '**',
  default: 'prune',
  rules: [
    { action: 'keep', tags: ['latest', 'v*'] },
    { action: 'keep', pulledWithin: '30d' },
    { action: 'keep', mostRecentlyPushedCount: 10 },
  ],
});
const everything = policyOf({
  repositories: '**',
  default: 'keep',
  rules: [
    { action: 'keep', tags: ['latest', 'stable*'] },
    { action: 'keep', semver: { newest: 2, per: 'minor' } },
    { action: 'keep', groupBy: '/(.+)-[0-9a-f]{7}/', mostRecentlyPushedCount: 3 },
    { action: 'keep', pulledWithin: '30d' },
    { action: 'prune', olderThan: '90d', exclude: 'v*' },
    { action: 'prune', budget: '50GiB' },
  ],
});

const bars: Bar[] = [];
// Half of the second one is the groups of an expression, of names that are all new to it.
for (const [name, policy, limit] of [
  ['three rules', simple, 5],
  ['every kind of rule', everything, 10],
] as const) {
  const whole = measureAll(policy);
  const again = measureChanges(policy);
  bars.push(
    {
      what: `${options.repositories} × ${options.tags} tags, ${name}`,
      figures: [`${(whole.ms / 1000).toFixed(2)} s`, `${(whole.cpuMs / options.repositories).toFixed(2)} ms CPU each`],
      is: whole.cpuMs / 1000,
      limit,
      better: 'lower',
      unit: ' s CPU',
    },
    {
      what: `one tag of ${options.tags} changed, ${name}`,
      figures: [`${again.cpuMs.toFixed(2)} ms CPU`, `p99 ${again.p99.toFixed(2)} ms`],
      is: again.median,
      limit: 2,
      better: 'lower',
      unit: ' ms',
    },
  );
}
console.log(barTable(['', ''], bars));
process.exitCode = bars.every(isReached) ? 0 : 1;

/** Time to decide about each of many repositories for the first time, their making not counted. */
function measureAll(policy: ReturnType<typeof policyOf>) {
  let [ms, cpuMs] = [0, 0];
  for (let index = 0; index < options.repositories; index += 1) {
    const facts = generatedFacts(index, options.tags, now);
    const cpu = process.cpuUsage();
    const started = performance.now();
    evaluate(policy, facts, now);
    ms += performance.now() - started;
    const { user, system } = process.cpuUsage(cpu);
    cpuMs += (user + system) / 1000;
  }
  return { ms, cpuMs };
}

/** Time to decide again about a repository of which one tag has been pulled since. */
function measureChanges(policy: ReturnType<typeof policyOf>) {
  const { tags } = generatedFacts(0, options.tags, now);
  const times: number[] = [];
  const cpu = process.cpuUsage();
  for (let change = 0; change < options.changes; change += 1) {
    const changed = tags.map((tag, index) =>
      index === change % tags.length ? Object.assign({}, tag, { pulledAt: now }) : tag,
    );
    const started = performance.now();
    evaluate(policy, { tags: changed, untagged: [] }, now + change);
    times.push(performance.now() - started);
  }
  const { user, system } = process.cpuUsage(cpu);
  times.sort((one, other) => one - other);
  const at = (part: number): number => times[Math.floor(times.length * part)] ?? 0;
  return { median: at(0.5), p99: at(0.99), cpuMs: (user + system) / 1000 / options.changes };
}

function policyOf(definition: object) {
  const parsed = parsePolicies([definition]);
  const [policy] = parsed.ok ? parsed.policies : [];
  if (policy === undefined) throw new Error(parsed.ok ? 'no policy' : parsed.problems.join('\n'));
  return policy;
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,7}$/.test(text)) throw new InvalidArgumentError('It takes a whole number.');
  return Number(text);
}
