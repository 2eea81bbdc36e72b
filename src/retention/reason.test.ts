import { expect, test } from 'bun:test';
import { decide, now, policyOf, type Given } from '../../test/retention/facts.ts';
import type { PolicyDefinition, RuleDefinition } from './definition.ts';
import { causeName, reasonText } from './reason.ts';

const rails = { mayPruneLastTag: true, grace: '1d', untaggedGrace: '7d' };

/** Why something named `v1.0.0` is decided as it is. */
function reasonFor(definition: Partial<PolicyDefinition>, given: Given): string {
  const policy = policyOf({ name: 'builds', repositories: '**', default: 'keep', rails, ...definition });
  const verdict = decide(policy, { tags: { 'v1.0.0': given } }).get('v1.0.0');
  return verdict === undefined ? '' : `${verdict.action}: ${reasonText(policy, verdict, now)}`;
}

const named = (rule: RuleDefinition): Partial<PolicyDefinition> => ({ rules: [{ name: 'it', ...rule }] });

test.each<[Partial<PolicyDefinition>, Given, string]>([
  [{}, { isPinned: true }, 'keep: it is pinned'],
  [{}, { follows: 'index' }, 'keep: an index lists it, and it stays as long'],
  [{}, { follows: 'subject' }, 'keep: it goes with its subject'],
  [{}, {}, 'keep: no rule prunes it, and the default of builds is keep'],
  [{ default: 'prune' }, {}, 'prune: no rule keeps it, and the default of builds is prune'],
  [{ default: 'prune' }, { pushed: null }, 'keep: it is not known when it was pushed'],
  [{ default: 'prune' }, { pushed: '18h29m' }, 'keep: it would be pruned, but its grace lasts another 5h31m'],
  [{ default: 'prune', rails: {} }, {}, 'keep: it is the latest tag, and the policy may not prune the last one'],
  [{ rules: [{ action: 'prune' }] }, {}, 'prune: rule 1 of builds: it names it without a condition'],
  [named({ action: 'keep', tags: 'v*' }), {}, 'keep: rule 1 (it) of builds: it names it without a condition'],
  [
    named({ action: 'keep', mostRecentlyPushedCount: 10 }),
    {},
    'keep: rule 1 (it) of builds: one of the 10 most recently pushed',
  ],
  [
    named({ action: 'keep', mostRecentlyPulledCount: 3, groupBy: '/(v.)\\..*/' }),
    {},
    'keep: rule 1 (it) of builds: one of the 3 most recently pulled of its group',
  ],
  [
    named({ action: 'keep', semver: { newest: 2, per: 'minor' } }),
    {},
    'keep: rule 1 (it) of builds: one of the 2 newest versions of its minor version',
  ],
  [named({ action: 'keep', semver: { newest: 2 } }), {}, 'keep: rule 1 (it) of builds: one of the 2 newest versions'],
  [
    named({ action: 'keep', pushedWithin: '7d', taggedWithin: '30d' }),
    { pushed: '3d4h5m', tagged: '90m' },
    'keep: rule 1 (it) of builds: pushed 3d4h ago, within 7d; tagged 1h30m ago, within 30d',
  ],
  [
    named({ action: 'keep', pulledWithin: '7d' }),
    { pulled: '61s' },
    'keep: rule 1 (it) of builds: last used 1m1s ago, within 7d',
  ],
  [
    named({ action: 'keep', pulledWithin: '7d' }),
    { pushed: '3d' },
    'keep: rule 1 (it) of builds: never pulled, pushed or tagged 3d ago, within 7d',
  ],
  [
    named({ action: 'keep', taggedWithin: '7d' }),
    { tagged: null },
    'keep: rule 1 (it) of builds: not known when tagged, within 7d',
  ],
  [
    named({ action: 'prune', olderThan: '30d', notPulledFor: '90d' }),
    {},
    'prune: rule 1 (it) of builds: pushed or tagged 100d ago, 30d or more; never pulled, pushed or tagged 100d ago, 90d or more',
  ],
  [
    named({ action: 'prune', largerThan: '1GiB' }),
    { sizeBytes: 2 ** 31 },
    'prune: rule 1 (it) of builds: larger than 1GiB',
  ],
  [named({ action: 'prune', budget: '100B' }), {}, 'prune: rule 1 (it) of builds: beyond the 100B budget'],
  [named({ action: 'keep', budget: '1MB' }), {}, 'keep: rule 1 (it) of builds: within the 1MB budget'],
])('the reason of %j for %j', (definition, given, reason) => {
  expect(reasonFor(definition, given)).toBe(reason);
});

test('a cause has a short name for a table', () => {
  const definition = { repositories: '**', default: 'keep', rules: [{ action: 'keep', tags: 'a' }] } as const;
  const causes = [...decide(definition, { tags: { a: {}, b: {} } }).values()].map(({ cause }) => causeName(cause));
  expect(causes).toEqual(['policies[0].rules[0]', 'default']);
});
