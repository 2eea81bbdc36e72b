import { evaluate } from '../../src/retention/evaluate.ts';
import type { Policy } from '../../src/retention/policy.ts';
import type { Bar } from '../bars.ts';
import type { FilledSize } from './filled-registry.ts';
import { generatedFacts } from './generated-facts.ts';
import { policyNames, policyOf } from './policies.ts';
import { quantile } from './quantile.ts';

/** How long it takes to decide by itself, of facts that are there: of repositories that are new, and of one that was known. */
export function evaluationBars(size: FilledSize, changes: number, now: number): readonly Bar[] {
  const bars: Bar[] = [];
  for (const name of policyNames) {
    const policy = policyOf(name);
    const whole = measureAll(policy, size, now);
    const again = measureChanges(policy, size, changes, now);
    bars.push(
      {
        what: `deciding alone, ${size.repositories} × ${size.tags} tags, ${name}`,
        figures: [
          `${(whole.ms / 1000).toFixed(2)} s`,
          `${(whole.cpuMs / size.repositories).toFixed(2)} ms CPU a repository`,
        ],
        is: whole.cpuMs / 1000,
        // Half of the second one is the groups of an expression, of names that are all new to it.
        limit: name === 'three rules' ? 5 : 10,
        better: 'lower',
        unit: ' s CPU',
      },
      {
        what: `deciding again, one of ${size.tags} tags changed, ${name}`,
        figures: [`p99 ${again.p99.toFixed(2)} ms`, `${again.cpuMs.toFixed(2)} ms CPU`],
        is: again.median,
        limit: 2,
        better: 'lower',
        unit: ' ms',
      },
    );
  }
  return bars;
}

/** Time to decide about each of many repositories for the first time, their making not counted. */
function measureAll(policy: Policy, size: FilledSize, now: number) {
  let [ms, cpuMs] = [0, 0];
  for (let index = 0; index < size.repositories; index += 1) {
    const facts = generatedFacts(index, size.tags, now);
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
function measureChanges(policy: Policy, size: FilledSize, changes: number, now: number) {
  const { tags } = generatedFacts(0, size.tags, now);
  const times: number[] = [];
  const cpu = process.cpuUsage();
  for (let change = 0; change < changes; change += 1) {
    const changed = tags.map((tag, index) =>
      index === change % tags.length ? Object.assign({}, tag, { pulledAt: now }) : tag,
    );
    const started = performance.now();
    evaluate(policy, { tags: changed, untagged: [] }, now + change);
    times.push(performance.now() - started);
  }
  const { user, system } = process.cpuUsage(cpu);
  return {
    median: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    cpuMs: (user + system) / 1000 / changes,
  };
}
