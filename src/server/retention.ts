import type { Pace } from '../collector/pace.ts';
import type { Config } from '../config/schema.ts';
import { settleApprovals } from '../pruning/settle-approvals.ts';
import type { PolicyScope } from '../pruning/policy-scope.ts';
import type { Pruner, PrunerParts } from '../pruning/pruner.ts';
import type { Registry } from '../registry/registry.ts';
import type { PolicySet } from '../retention/policy-set.ts';
import { type Every, everyByTimer } from './every.ts';

/** A look at a repository takes long: it rests for long after one, but is to come through all of them within the hour. */
const pruningPace = { leastShare: 0.05, mostMs: 5000 };

/** How often it is looked whether approvals are to be forgotten, in ms. */
const settleEveryMs = 60_000;

/** Policies, and which repositories they are for. */
export interface Retention {
  readonly set: PolicySet;
  readonly scope: PolicyScope;
}

/** What retention needs is loaded where there are policies only. */
export async function openRetention(
  set: PolicySet | undefined,
  { retention }: Pick<Config, 'retention'>,
): Promise<Retention | undefined> {
  if (set === undefined) return undefined;
  const { PolicyScope: Scope } = await import('../pruning/policy-scope.ts');
  return { set, scope: new Scope(set.policies, retention.lookAfterMs) };
}

/**
 * Where there are no policies, nothing stays approved, once no other process has any either: looks now, to be waited for
 * before anything is served, and then again and again until it is disposed of.
 */
export async function settleWithoutPolicies(
  { metadata, log }: Pick<Registry, 'metadata' | 'log'>,
  every: Every = everyByTimer,
): Promise<Disposable> {
  await settleApprovals(metadata, undefined);
  return every(settleEveryMs, async () => {
    try {
      await settleApprovals(metadata, undefined);
    } catch (error) {
      log.warn({ err: error }, 'it could not be seen which policies are approved; it is tried again');
    }
  });
}

/** What carries policies out, beside requests and the collector; undefined where there are none. */
export async function openPruner(
  retention: Retention | undefined,
  { pace, ...parts }: Omit<PrunerParts, 'set' | 'scope' | 'restMs'> & { readonly pace: Pace },
): Promise<Pruner | undefined> {
  if (retention === undefined) return undefined;
  const { Pruner: One } = await import('../pruning/pruner.ts');
  const restMs = (tookMs: number): number => pace.restMs({ reviews: 1, tookMs, waitedMs: 0, ...pruningPace });
  return new One({ ...parts, ...retention, restMs });
}
