import { setImmediate } from 'node:timers/promises';
import type { Registry } from '../registry/registry.ts';
import type { Glob } from '../retention/glob.ts';
import { policyFor } from '../retention/policy.ts';
import type { PolicySet } from '../retention/policy-set.ts';
import { type SimulatedRepository, Simulation, type SimulationTotals } from '../retention/simulate/simulation.ts';
import { readHistory, repositoriesEver } from './read-history.ts';

export interface SimulationRequest {
  readonly policies: PolicySet;
  /** Only the repositories that it matches; undefined for all. */
  readonly repositories: Glob | undefined;
  /** From when until when, in ms since 1970. */
  readonly since: number;
  readonly now: number;
  /** Is told how many repositories have been replayed. */
  readonly onProgress?: (progress: { readonly name: string; readonly done: number; readonly total: number }) => void;
}

/**
 * Replays policies over all that is remembered of pushes and pulls, a repository after the other, and at last tells what
 * they come to together. It changes nothing but that pulls recorded in memory are written first, so that they count.
 * Repositories without a policy are replayed too, for what they hold.
 */
export async function* simulateRetention(
  registry: Registry,
  { policies: { policies }, repositories, since, now, onProgress = () => undefined }: SimulationRequest,
): AsyncGenerator<SimulatedRepository, SimulationTotals, undefined> {
  await registry.pulls.flushQuietly();
  const isTried = (repo: string): boolean => repositories === undefined || repositories.matches(repo);
  const simulation = new Simulation({ policies, isTried, since, now });
  let total = 0;
  for await (const _ of repositoriesEver(registry.metadata)) total += 1;
  let done = 0;
  for await (const repo of repositoriesEver(registry.metadata)) {
    const policy = isTried(repo) ? policyFor(policies, repo) : undefined;
    const history = await readHistory(registry, repo, policy);
    const simulated = await inTurns(simulation.add(history));
    done += 1;
    onProgress({ name: 'repositories', done, total: Math.max(done, total) });
    if (simulated !== undefined) yield simulated;
  }
  return await inTurns(simulation.totals());
}

/** Between two steps, others have their turn. */
async function inTurns<T>(steps: Generator<undefined, T, undefined>): Promise<T> {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await setImmediate();
  }
}
