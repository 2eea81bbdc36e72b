import { expect, test } from 'bun:test';
import { lintPolicies } from './lint.ts';
import { parsePolicies } from './parse.ts';

function lint(given: unknown): readonly string[] {
  const parsed = parsePolicies(given);
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
  return lintPolicies(parsed.policies).map(({ path, message }) => `${path} ${message}`);
}

/** A policy of rules of which the others are about tags that the rules in question do not name. */
function lintRules(...rules: readonly unknown[]): readonly string[] {
  const others = [
    { action: 'keep', tags: 'kept-*' },
    { action: 'prune', tags: 'pruned-*' },
  ];
  return lint([{ repositories: '**', default: 'keep', rules: [...rules, ...others] }]);
}

test('policies of which every part matters have no remark', () => {
  expect(
    lint([
      {
        repositories: 'team/app',
        default: 'prune',
        rules: [
          { action: 'keep', tags: ['v*', 'latest'], exclude: '*-rc*' },
          { action: 'keep', mostRecentlyPushedCount: 10 },
          { action: 'keep', tagState: 'untagged', pushedWithin: '7d' },
        ],
      },
      {
        repositories: ['team/*', 'other/**'],
        default: 'keep',
        rules: [
          { action: 'keep', tags: 'v*', pulledWithin: '90d' },
          { action: 'prune', notPulledFor: '30d' },
        ],
      },
      { repositories: '**', default: 'keep' },
    ]),
  ).toEqual([]);
});

test('a policy whose repositories are all taken by policies before it never applies', () => {
  const policy = (name: string, repositories: readonly string[]): unknown => ({ name, repositories, default: 'keep' });
  expect(lint([policy('all', ['**']), policy('team', ['team/**', 'x'])])).toEqual([
    'policies[1] never applies: every repository that it matches is taken by all, which comes before it',
  ]);
  expect(lint([policy('team', ['team/**']), policy('more', ['team/a/*', 'other'])])).toEqual([
    'policies[1].repositories[0] never decides: what it matches is taken by team, which comes before it',
  ]);
  expect(lint([policy('twice', ['team/**', 'team/a'])])).toEqual([
    'policies[0].repositories[1] never decides: what it matches is taken by a glob before it',
  ]);
});

test('a policy that prunes only for a disk that is nearly full does prune', () => {
  const rules = [{ action: 'keep', tags: 'v*' }];
  expect(lint([{ repositories: '**', default: 'keep', whenFull: 'prune', rules }])).toEqual([]);
});

test('a policy that prunes nothing, keeps nothing, or lets nothing go says so', () => {
  expect(lint([{ repositories: '**', default: 'keep', rules: [{ action: 'keep', tags: 'v*' }] }])).toEqual([
    'policies[0] prunes nothing: no rule prunes, and neither does the default',
  ]);
  expect(lint([{ repositories: '**', default: 'prune' }])).toEqual([
    'policies[0] keeps nothing but what the rails keep: no rule keeps, and neither does the default',
  ]);
  expect(lint([{ repositories: '**', default: 'keep', rails: { tagsPerDay: '0%' } }])).toEqual([
    'policies[0].rails.tagsPerDay is 0%, so nothing is ever pruned',
  ]);
});

test('a rule that prunes changes nothing where the default prunes', () => {
  const rules = [
    { action: 'keep', tags: 'v*' },
    { action: 'prune', olderThan: '30d' },
  ];
  expect(lint([{ repositories: '**', default: 'prune', rules }])).toEqual([
    'policies[0].rules[1] changes nothing: the default prunes whatever no rule keeps',
  ]);
});

test('a rule after which nothing is left to decide is seen, before it and behind it', () => {
  expect(
    lint([
      {
        repositories: '**',
        default: 'keep',
        rules: [
          { action: 'prune', tags: 'old-*' },
          { action: 'keep', tagState: 'any' },
          { action: 'keep', tags: 'v*' },
          { action: 'prune', tagState: 'untagged' },
        ],
      },
    ]),
  ).toEqual([
    'policies[0].rules[0] never prunes anything: rules[1] keeps all that it names, and keep beats prune',
    'policies[0].rules[2] adds nothing: rules[1] keeps all that it names, and keep beats prune',
    'policies[0].rules[3] never prunes anything: rules[1] keeps all that it names, and keep beats prune',
  ]);
});

test.each([
  [{ action: 'keep', tags: 'v*' }, { action: 'prune', tags: ['v1*', 'v2.?'] }, true],
  [{ action: 'keep', tags: 'v*' }, { action: 'prune', tags: ['v1*', 'w*'] }, false],
  [{ action: 'keep', tags: 'v*', pushedWithin: '1d' }, { action: 'prune', tags: 'v1*' }, false],
  [{ action: 'keep', tags: 'v*', exclude: '*-rc*' }, { action: 'prune', tags: 'v1*' }, false],
  [{ action: 'keep', tags: 'v*', exclude: '*-rc1' }, { action: 'prune', tags: 'v1*', exclude: '*-rc*' }, true],
  [{ action: 'keep', tags: 'v*', signed: true }, { action: 'prune', tags: 'v1*' }, false],
  [{ action: 'keep', tags: '/v\\d+/' }, { action: 'prune', tags: '/v\\d+/', olderThan: '1d' }, true],
  [{ action: 'keep', tags: '/v\\d+/' }, { action: 'prune', tags: 'v1' }, false],
  [{ action: 'keep', tagState: 'untagged' }, { action: 'prune', tags: 'v1' }, false],
])('beside %j, the rule %j never prunes: %p', (keep, prune, isUseless) => {
  expect(lintRules(keep, prune)).toEqual(
    isUseless
      ? ['policies[0].rules[1] never prunes anything: rules[0] keeps all that it names, and keep beats prune']
      : [],
  );
});

test('of two rules that say the same, the later one is the one too many', () => {
  expect(lintRules({ action: 'keep', tags: 'v*' }, { action: 'keep', tags: 'v*' })).toEqual([
    'policies[0].rules[1] adds nothing: rules[0] keeps all that it names, and keep beats prune',
  ]);
});

test.each([
  [{ action: 'prune', tags: 'v*-rc', exclude: '*-rc' }, 'exclude takes all of its tags away'],
  [{ action: 'prune', exclude: '*' }, 'exclude takes all of its tags away'],
  [{ action: 'keep', mostRecentlyPushedCount: 0 }, 'it counts to 0'],
  [{ action: 'keep', semver: { newest: 0 } }, 'it counts to 0'],
  [{ action: 'keep', pushedWithin: '7d', olderThan: '7d' }, 'pushedWithin and olderThan leave no time between them'],
  [{ action: 'prune', taggedWithin: '7d', olderThan: '8d' }, 'taggedWithin and olderThan leave no time between them'],
  [
    { action: 'keep', pushedWithin: '1d', notPulledFor: '7d' },
    'pushedWithin and notPulledFor leave no time between them',
  ],
  [
    { action: 'prune', pulledWithin: '1d', notPulledFor: '1d' },
    'pulledWithin and notPulledFor leave no time between them',
  ],
])('the rule %j never applies', (rule, why) => {
  expect(lintRules(rule)).toEqual([`policies[0].rules[0] never applies: ${why}`]);
});

test.each([
  [{ action: 'prune', tags: 'v*-rc', exclude: '*-rc1' }],
  [{ action: 'prune', pushedWithin: '8d', olderThan: '7d' }],
  [{ action: 'prune', pulledWithin: '1d', olderThan: '7d' }],
])('the rule %j may apply', (rule) => {
  expect(lintRules(rule)).toEqual([]);
});

test('a regular expression that can match no tag is seen', () => {
  expect(lintRules({ action: 'prune', tags: ['/team/app/', '/ok/'], exclude: '/a:b/' })).toEqual([
    'policies[0].rules[0].tags[0] matches no tag: /team/app/ asks for a character that no tag has',
    'policies[0].rules[0].exclude[0] matches no tag: /a:b/ asks for a character that no tag has',
  ]);
});
