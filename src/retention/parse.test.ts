import { expect, test } from 'bun:test';
import { readConfigFile } from '../config/file.ts';
import { parsePolicies } from './parse.ts';
import { policyFor, type Policy } from './policy.ts';

const hour = 3_600_000;
const day = 24 * hour;

function parse(given: unknown): readonly Policy[] {
  const parsed = parsePolicies(given);
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
  return parsed.policies;
}

function problemsOf(given: unknown): readonly string[] {
  const parsed = parsePolicies(given);
  if (parsed.ok) throw new Error('the policies were accepted');
  return parsed.problems;
}

/** What is wrong with a policy that is right but for one rule. */
function problemsOfRule(rule: unknown): readonly string[] {
  return problemsOf([{ repositories: '**', default: 'keep', rules: [rule] }]).map((problem) =>
    problem.replace('policies[0].rules[0].', ''),
  );
}

test('all that may be left out of a policy has a default', () => {
  const [policy] = parse([{ repositories: 'team/**', default: 'keep' }]);
  expect(policy).toMatchObject({
    name: 'policies[0]',
    rules: [],
    default: 'keep',
    rails: { tagsPerDay: 0.2, bytesPerDay: 0.2, mayPruneLastTag: false, graceMs: day, untaggedGraceMs: 30 * day },
    whenFull: 'keep',
    ignorePullsBy: { users: [], robots: [], userAgents: [] },
    countHeads: false,
  });
});

test('a policy may say everything', () => {
  const given = {
    name: 'builds',
    repositories: ['team/**', 'ci/*'],
    default: 'prune',
    rails: { tagsPerDay: '50%', bytesPerDay: '12.5%', mayPruneLastTag: 'true', grace: '0', untaggedGrace: '1h' },
    whenFull: 'prune',
    ignorePullsBy: { users: 'scanner', robots: ['mirror-*'], userAgents: ['Trivy/**'] },
    countHeads: 'true',
    rules: [
      {
        name: 'releases',
        action: 'keep',
        tags: 'v*',
        exclude: ['*-rc*', '/.*-beta\\d+/'],
        tagState: 'tagged',
        labels: { 'org.example.keep': 'true' },
        annotations: { team: 'a*' },
        artifactType: 'application/vnd.example.**',
        mediaType: ['application/**'],
        signed: 'true',
        mostRecentlyPushedCount: '10',
        mostRecentlyPulledCount: '5',
        pushedWithin: '7d',
        pulledWithin: '30d',
        taggedWithin: '1d12h',
        olderThan: '1h',
        notPulledFor: '2h',
        largerThan: '1GiB',
        semver: { newest: '2', per: 'minor', prereleases: 'include' },
        groupBy: '/(.+)-\\d+/',
        budget: '10GiB',
      },
    ],
  };
  const [policy] = parse([given]);
  expect(policy?.rails).toEqual({
    tagsPerDay: 0.5,
    bytesPerDay: 0.125,
    mayPruneLastTag: true,
    graceMs: 0,
    untaggedGraceMs: hour,
  });
  expect(policy?.ignorePullsBy.userAgents.map(({ source }) => source)).toEqual(['Trivy/**']);
  expect(policy?.whenFull).toBe('prune');
  expect(policy?.countHeads).toBe(true);
  expect(policy?.rules[0]?.path).toBe('policies[0].rules[0]');
  expect(policy?.rules[0]?.criteria).toEqual({
    mostRecentlyPushedCount: 10,
    mostRecentlyPulledCount: 5,
    pushedWithinMs: 7 * day,
    pulledWithinMs: 30 * day,
    taggedWithinMs: 36 * hour,
    olderThanMs: hour,
    notPulledForMs: 2 * hour,
    largerThanBytes: 2 ** 30,
    semver: { newest: 2, per: 'minor', prereleases: 'include' },
    budgetBytes: 10 * 2 ** 30,
  });
  const { selector } = policy?.rules[0] ?? {};
  expect(selector?.exclude.map(({ source }) => source)).toEqual(['*-rc*', '/.*-beta\\d+/']);
  expect([...(selector?.labels.keys() ?? [])]).toEqual(['org.example.keep']);
  expect(selector?.signed).toBe(true);
  expect(selector?.groupBy?.source).toBe('/(.+)-\\d+/');
});

test('numbers and truths may be texts, as in YAML, or what they are, as in JSON', () => {
  const policies = (count: unknown, truth: unknown): unknown => [
    {
      repositories: '**',
      default: 'keep',
      countHeads: truth,
      rules: [{ action: 'keep', mostRecentlyPushedCount: count, signed: truth }],
    },
  ];
  expect(parse(policies(10, true))).toEqual(parse(policies('10', 'true')));
});

test('the default must be written out, and the error says why', () => {
  expect(problemsOf([{ repositories: '**' }])).toEqual([
    'policies[0].default must be written out, so that nobody prunes by having forgotten it: keep leaves what no rule ' +
      'names, prune takes it away. It takes keep or prune.',
  ]);
});

test.each([
  [{ action: 'prune', olderThn: '30d' }, ['olderThn is not a setting (did you mean olderThan?)']],
  [{ action: 'prune', older: '30d', rails: {} }, ['older is not a setting', 'rails is not a setting']],
  [
    { action: 'keep', semver: { newst: 2 } },
    [
      'semver.newest is missing. It takes a whole number from 0 to 1000000.',
      'semver.newst is not a setting (did you mean newest?)',
    ],
  ],
  [{}, ['action is missing. It takes keep or prune.']],
  [{ action: 'delete' }, ['action cannot be "delete": this is none of these. It takes keep or prune.']],
  [{ action: null }, ['action has no value. It takes keep or prune.']],
  [{ action: ['keep'] }, ['action is a single value, not a list or a group. It takes keep or prune.']],
  [{ action: 'prune', tags: [] }, ['tags is an empty list']],
  [
    { action: 'prune', tags: ['ok', '/(/'] },
    [
      'tags[1] cannot be "/(/": this is not a regular expression of RE2: error parsing regexp: missing closing ): `(`. ' +
        'It takes globs such as v* and latest, or regular expressions between slashes, such as /v\\d+/.',
    ],
  ],
  [{ action: 'prune', labels: 'x' }, ['labels is a group of names, each with what it must match']],
  [
    { action: 'keep', mostRecentlyPushedCount: -1 },
    ['mostRecentlyPushedCount cannot be "-1": this is not a whole number. It takes a whole number from 0 to 1000000.'],
  ],
  [
    { action: 'prune', largerThan: '10' },
    [
      'largerThan cannot be "10": add a unit, as in 10B or 10MiB. It takes a size such as 4MiB or 10MB, from 0B to ' +
        '1000000GiB.',
    ],
  ],
  [
    { action: 'prune', mostRecentlyPushedCount: 5 },
    [
      'mostRecentlyPushedCount is for rules that keep. To prune all but these, keep them by one rule and prune the ' +
        'others by another: keep beats prune',
    ],
  ],
  [{ action: 'keep', tagState: 'any', tags: 'v*' }, ['tags is about tags, but tagState is any; write a rule for each']],
  [
    { action: 'keep', tagState: 'untagged', semver: { newest: 1 } },
    ['semver is about tags, but tagState is untagged; write a rule for each'],
  ],
  [
    { action: 'keep', groupBy: '/(.+)-\\d+/' },
    ['groupBy needs one of mostRecentlyPushedCount, mostRecentlyPulledCount, semver beside it'],
  ],
  [
    { action: 'keep', mostRecentlyPushedCount: 1, groupBy: '/.+/' },
    [
      'groupBy cannot be "/.+/": this has no group in parentheses. It takes a regular expression with a group, such as ' +
        '/(.+)-\\d+/.',
    ],
  ],
  [
    { action: 'keep', mostRecentlyPushedCount: 1, groupBy: 'v*' },
    [
      'groupBy cannot be "v*": a regular expression stands between slashes. It takes a regular expression with a ' +
        'group, such as /(.+)-\\d+/.',
    ],
  ],
])('the rule %j is refused', (rule, problems) => {
  expect(problemsOfRule(rule)).toEqual(problems);
});

test.each([
  [undefined, ['policies is a list of policies']],
  [[5], ['policies[0] is a group of settings']],
  [[{ repositories: '**', default: 'keep', rules: {} }], ['policies[0].rules is a list of rules']],
  [
    [{ default: 'keep' }],
    ['policies[0].repositories is missing. It takes globs such as team/app, team/* and team/**.'],
  ],
  [[{ repositories: [], default: 'keep' }], ['policies[0].repositories is an empty list']],
  [
    [{ repositories: '**', default: 'keep', rails: { tagPerDay: '20%', bytesPerDay: '120%', grace: '-1d' } }],
    [
      'policies[0].rails.bytesPerDay cannot be "120%": this is more than all. It takes a part such as 20%, from 0% to 100%.',
      'policies[0].rails.grace cannot be "-1d": this is not a duration. It takes a duration such as 200ms, 30s or 1h30m ' +
        '(units: d, h, m, s, ms), from 1ms to 36500d, or 0: no time at all.',
      'policies[0].rails.tagPerDay is not a setting (did you mean tagsPerDay?)',
    ],
  ],
  [
    [{ repositories: '**', default: 'keep', ignorePullsBy: { userAgent: 'x' } }],
    ['policies[0].ignorePullsBy.userAgent is not a setting (did you mean userAgents?)'],
  ],
  [
    ['a', 'b'].map((name) => ({ name: 'same', repositories: name, default: 'keep' })),
    ['policies: two of them are named "same"'],
  ],
])('the policies %j are refused', (given, problems) => {
  expect(problemsOf(given)).toEqual(problems);
});

test('a problem of a file is reported with its line, and all of them at once', () => {
  const text =
    'policies:\n  - repositories: team/**\n    rules:\n      - action: prune\n        olderThn: 30d\n' +
    '        tags:\n          - ok\n          - no:good\n';
  const { policies } = readConfigFile('wherry.yaml', text);
  const parsed = parsePolicies(policies?.value, policies?.whereIs);
  expect(parsed.ok ? [] : parsed.problems.map((problem) => problem.split(' ', 2).join(' '))).toEqual([
    'wherry.yaml:8: policies[0].rules[0].tags[1]',
    'wherry.yaml:5: policies[0].rules[0].olderThn',
    'wherry.yaml:2: policies[0].default',
  ]);
});

test('the first policy that matches a repository is the one that it is under', () => {
  const policies = parse([
    { name: 'one', repositories: ['team/app', 'x'], default: 'keep' },
    { name: 'team', repositories: 'team/**', default: 'keep' },
    { name: 'again', repositories: '*', default: 'keep' },
  ]);
  const nameFor = (repository: string): string | undefined => policyFor(policies, repository)?.name;
  expect(nameFor('team/app')).toBe('one');
  expect(nameFor('team/web')).toBe('team');
  expect(nameFor('team')).toBe('team');
  expect(nameFor('x')).toBe('one');
  expect(nameFor('other')).toBe('again');
  expect(nameFor('other/app')).toBeUndefined();
});
