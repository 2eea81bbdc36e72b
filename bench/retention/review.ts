import { all } from '../../src/metadata/operation.ts';
import { repositoriesAfter } from '../../src/metadata/queries/usage.ts';
import { repositoryFacts } from '../../src/pruning/item-facts.ts';
import { RepositoryGraph } from '../../src/pruning/repository-graph.ts';
import { noImmutability } from '../../src/registry/immutability.ts';
import { evaluate } from '../../src/retention/evaluate.ts';
import type { Bar } from '../bars.ts';
import { openRegistry } from './opened-registry.ts';
import { policyOf } from './policies.ts';
import { quantile } from './quantile.ts';

/** Repositories that change in turn. */
const repositories = 20;
/** A later review finds the programs and the database's cache warm. */
const warmUps = 100;

/** How long it takes to read a repository anew, after one of its tags was pulled, and to decide about it. */
export async function reviewBar(directory: string, changes: number, now: number): Promise<Bar> {
  await using opened = await openRegistry(directory, now);
  const { metadata, pulls, windows } = opened.registry;
  const policy = policyOf('three rules');
  const names = await metadata.read(() => all(repositoriesAfter, { after: '', limit: repositories }));
  const [times, decisions]: [number[], number[]] = [[], []];
  let cpuMs = 0;
  for (let change = 0; change < warmUps + changes; change += 1) {
    const repo = names[change % names.length]?.name;
    if (repo === undefined) throw new Error('there is no repository');
    const cpu = process.cpuUsage();
    const startedAt = performance.now();
    const graph = await RepositoryGraph.read(metadata, repo, noImmutability);
    const { facts } = repositoryFacts(graph, { descriptions: new Map(), now, leaseMs: windows.leaseMs });
    const readAt = performance.now();
    evaluate(policy, facts, now);
    const endedAt = performance.now();
    const { user, system } = process.cpuUsage(cpu);
    if (change >= warmUps) {
      times.push(endedAt - startedAt);
      decisions.push(endedAt - readAt);
      cpuMs += (user + system) / 1000;
    }
    const tag = graph.tags[change % graph.tags.length];
    if (tag === undefined) throw new Error(`${repo} has no tag`);
    pulls.record({ repo, digest: tag.manifest.digest, tag: tag.name });
    await pulls.flush();
  }
  return {
    what: 'the same, its repository read anew from the database, three rules',
    figures: [`${(cpuMs / changes).toFixed(2)} ms CPU`, `deciding ${quantile(decisions, 0.5).toFixed(2)} ms of it`],
    is: quantile(times, 0.5),
    limit: 10,
    better: 'lower',
    unit: ' ms',
  };
}
