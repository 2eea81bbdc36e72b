import type { PolicyDefinition } from '../../src/retention/definition.ts';
import type { Policy } from '../../src/retention/policy.ts';
import { parsePolicySet, type PolicySet } from '../../src/retention/policy-set.ts';

/** Everything that the rules name may go at once: that is the most work. */
const rails = { tagsPerDay: '100%', bytesPerDay: '100%' };

const definitions = {
  'three rules': {
    repositories: '**',
    default: 'prune',
    rails,
    rules: [
      { action: 'keep', tags: ['latest', 'v*'] },
      { action: 'keep', pulledWithin: '30d' },
      { action: 'keep', mostRecentlyPushedCount: 10 },
    ],
  },
  'every kind of rule': {
    repositories: '**',
    default: 'keep',
    rails,
    rules: [
      { action: 'keep', tags: ['latest', 'stable*'] },
      { action: 'keep', semver: { newest: 2, per: 'minor' } },
      { action: 'keep', groupBy: '/(.+)-[0-9a-f]{7}/', mostRecentlyPushedCount: 3 },
      { action: 'keep', pulledWithin: '30d' },
      { action: 'prune', olderThan: '90d', exclude: 'v*' },
      { action: 'prune', budget: '50GiB' },
    ],
  },
} satisfies Readonly<Record<string, PolicyDefinition>>;

export type PolicyName = keyof typeof definitions;

/** The policies that the bench decides by, each for all repositories. */
export const policyNames: readonly PolicyName[] = ['three rules', 'every kind of rule'];

export function isPolicyName(text: string): text is PolicyName {
  return Object.hasOwn(definitions, text);
}

export function policySetOf(name: PolicyName): PolicySet {
  const parsed = parsePolicySet([definitions[name]]);
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
  return parsed.set;
}

export function policyOf(name: PolicyName): Policy {
  const [policy] = policySetOf(name).policies;
  if (policy === undefined) throw new Error('no policy');
  return policy;
}
