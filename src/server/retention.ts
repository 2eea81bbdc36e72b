import type { Pace } from '../collector/pace.ts';
import type { Config } from '../config/schema.ts';
import type { MetadataStore } from '../metadata/store.ts';
import { forgetAllApprovals } from '../pruning/forget-approvals.ts';
import type { PolicyScope } from '../pruning/policy-scope.ts';
import type { Pruner, PrunerParts } from '../pruning/pruner.ts';
import type { PolicySet } from '../retention/policy-set.ts';

/** A look at a repository takes long: it rests for long after one, but is to come through all of them within the hour. */
const pruningPace = { leastShare: 0.05, mostMs: 5000 };

/** Policies, and which repositories they are for. */
export interface Retention {
  readonly set: PolicySet;
  readonly scope: PolicyScope;
}

/** What retention needs is loaded where there are policies only; where there are none, nothing stays approved. */
export async function openRetention(
  metadata: MetadataStore,
  set: PolicySet | undefined,
  { retention }: Pick<Config, 'retention'>,
): Promise<Retention | undefined> {
  if (set === undefined) {
    await forgetAllApprovals(metadata);
    return undefined;
  }
  const { PolicyScope: Scope } = await import('../pruning/policy-scope.ts');
  return { set, scope: new Scope(set.policies, retention.lookAfterMs) };
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
