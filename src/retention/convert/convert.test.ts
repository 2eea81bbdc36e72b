import { describe, expect, test } from 'bun:test';
import { decide, type GivenRepository } from '../../../test/retention/facts.ts';
import { parsePolicies } from '../parse.ts';
import { policyFor } from '../policy.ts';
import { foreignKinds, type Conversion, type ConversionOptions, type ForeignKind } from './conversion.ts';
import { convertPolicies, detectKind } from './convert.ts';
import { foreignDuration } from './foreign-durations.ts';
import { repositoryGlobs, tagGlobs, unanchored } from './foreign-globs.ts';
import * as examples from '../../../test/retention/foreign-policies.ts';

function convert(kind: ForeignKind, given: unknown, options?: ConversionOptions): Conversion {
  const result = convertPolicies(kind, given, options);
  if (!result.ok) throw new Error(result.problems.join('\n'));
  return result.conversion;
}

function remarksOf({ remarks }: Conversion): readonly string[] {
  return remarks.map(({ path, message }) => (path === undefined ? message : `${path}: ${message}`));
}

/** What is pruned of a repository once the graces are over and without the rails of a day, by what was converted. */
function prunedBy({ policies }: Conversion, repository: string, content: GivenRepository): readonly string[] {
  const parsed = parsePolicies(policies);
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
  const policy = policyFor(parsed.policies, repository);
  if (policy === undefined) return [];
  return [...decide(policy, content)].filter(([, { action }]) => action === 'prune').map(([name]) => name);
}

test('it is said what becomes of images that lose their last tag, where rules are about untagged ones', () => {
  const saysSo = (conversion: Conversion) =>
    remarksOf(conversion).some((text) => text.includes('has lost its last tag'));
  expect(saysSo(convert('harbor', examples.harbor))).toBe(true);
  expect(saysSo(convert('ecr', examples.ecrByAge))).toBe(true);
  expect(saysSo(convert('artifact-registry', examples.artifactRegistry))).toBe(true);
  expect(saysSo(convert('ecr', examples.ecrProdFirst))).toBe(false);
});

test.each<[ForeignKind | undefined, unknown]>([
  ['zot', examples.zot],
  ['zot', examples.zot.storage],
  ['zot', examples.zot.storage.retention],
  ['harbor', examples.harbor],
  ['ecr', examples.ecrByAge],
  ['ecr', { lifecyclePolicyText: JSON.stringify(examples.ecrByAge) }],
  ['artifact-registry', examples.artifactRegistry],
  ['artifact-registry', { cleanupPolicies: examples.artifactRegistryById }],
  ['artifact-registry', examples.artifactRegistryById],
  [undefined, {}],
  [undefined, []],
  [undefined, { rules: [] }],
  [undefined, 'text'],
  [undefined, null],
])('whose policies these are is told by their names: %s', (kind, given) => {
  expect(detectKind(given)).toBe(kind);
});

test.each(foreignKinds)('what is no policy of %s is refused', (kind) => {
  for (const given of [null, 'text', 5, { rules: 5 }, [5]]) {
    expect(convertPolicies(kind, given).ok).toBe(false);
  }
});

test('what is wrong is named by its place', () => {
  const rule = {
    rulePriority: 1,
    selection: { tagStatus: 'untagged', countType: 'sinceImagePushed' },
    action: { type: 'expire' },
  };
  expect(convertPolicies('ecr', { rules: [rule] })).toEqual({
    ok: false,
    problems: ['rules[0].selection.countNumber: Invalid input: expected number, received undefined'],
  });
});

describe('zot', () => {
  const converted = convert('zot', examples.zot);

  test('the example of its repository becomes policies that are accepted', () => {
    expect(converted.policies).toEqual([
      {
        repositories: ['infra/*', 'prod/*'],
        rails: { untaggedGrace: '1d' },
        default: 'prune',
        rules: [
          { action: 'keep', tags: ['/.*v2.*/', '/.*-prod.*/'] },
          { action: 'keep', tags: ['/.*v3.*/'], exclude: ['/.*v2.*/', '/.*-prod.*/'], pulledWithin: '7d' },
        ],
      },
      {
        repositories: ['tmp/**'],
        rails: { untaggedGrace: '1d' },
        default: 'prune',
        rules: [
          { action: 'keep', tags: ['/.*v1.*/'], pulledWithin: '7d' },
          { action: 'keep', tags: ['/.*v1.*/'], pushedWithin: '7d' },
        ],
      },
      {
        repositories: ['**'],
        rails: { untaggedGrace: '1d' },
        default: 'prune',
        rules: [
          { action: 'keep', mostRecentlyPulledCount: 10 },
          { action: 'keep', mostRecentlyPushedCount: 10 },
          { action: 'keep', pulledWithin: '30d' },
          { action: 'keep', pushedWithin: '30d' },
        ],
      },
    ]);
    expect(parsePolicies(converted.policies).ok).toBe(true);
  });

  test('patterns match anywhere in a tag, as there, and this is said', () => {
    expect(prunedBy(converted, 'infra/app', { tags: { 'v2.1': {}, rev2x: {}, 'eu-prod-1': {}, other: {} } })).toEqual([
      'other',
    ]);
    expect(remarksOf(converted)).toContain(
      'policies[0].keepTags[0]: v2.* is not anchored in zot: it matches anywhere in a tag, so it is /.*v2.*/ here. If it was meant to match the whole tag, write /v2.*/.',
    );
  });

  test('an entry takes its tags from those behind it, and a pattern that is dead by that is said', () => {
    const tags = { 'v3.0': { pulled: '1d' }, 'v3-old': { pulled: '8d' }, 'v3-v2': { pulled: '8d' } };
    expect(prunedBy(converted, 'prod/app', { tags })).toEqual(['v3-old']);
    expect(remarksOf(converted)).toContain(
      'policies[0].keepTags[1]: .*-prod never decides: an entry before it has it too, and takes its tags.',
    );
  });

  test('any criterion of an entry is enough', () => {
    const tags = { 'v1.0': { pulled: '1d' }, 'v1.1': { pushed: '2d' }, 'v1.2': {}, v2: { pushed: '2d' } };
    expect(prunedBy(converted, 'tmp/x/y', { tags })).toEqual(['v1.2', 'v2']);
  });

  test('untagged manifests go after the delay, unless it says otherwise', () => {
    const untagged = { old: { pushed: '25h' }, fresh: { pushed: '23h' } };
    expect(prunedBy(converted, 'any', { untagged })).toEqual(['old']);
    const keeping = convert('zot', {
      policies: [{ repositories: ['**'], deleteUntagged: false, keepTags: [{ patterns: ['v1'] }] }],
    });
    expect(prunedBy(keeping, 'any', { untagged })).toEqual([]);
  });

  test('no keepTags keeps every tag, and keepUntagged keeps untagged manifests', () => {
    const { policies } = convert('zot', {
      delay: '2h30m',
      policies: [
        {
          repositories: ['**'],
          deleteReferrers: true,
          keepUntagged: { mostRecentlyPushedCount: 2, pulledWithin: '24h' },
        },
      ],
    });
    expect(policies).toEqual([
      {
        repositories: ['**'],
        rails: { untaggedGrace: '2h30m' },
        default: 'keep',
        rules: [
          { action: 'keep', tagState: 'untagged', mostRecentlyPushedCount: 2 },
          { action: 'keep', tagState: 'untagged', pulledWithin: '1d' },
          { action: 'prune', tagState: 'untagged' },
        ],
      },
    ]);
  });

  test('an entry behind one without patterns is left out, and that is said', () => {
    const conversion = convert('zot', { policies: [{ repositories: ['**'], keepTags: [{}, { patterns: ['x'] }] }] });
    expect(conversion.policies[0]?.rules).toEqual([{ action: 'keep' }]);
    expect(remarksOf(conversion)).toContain('policies[0].keepTags[1]: Left out: an entry before it takes every tag.');
  });

  test('sub-paths, dry runs and kept referrers are remarked on, and the delay is that of the collection where it is not set', () => {
    const remarks = remarksOf(converted);
    expect(remarks.filter((remark) => remark.startsWith('storage.subPaths[/a]'))).toHaveLength(1);
    expect(remarks.filter((remark) => remark.startsWith('policies[0].deleteReferrers'))).toHaveLength(1);
    const dry = convert('zot', {
      storage: { gcDelay: '3h', retention: { dryRun: true, policies: [{ repositories: ['a'] }] } },
    });
    expect(dry.policies[0]?.rails).toEqual({ untaggedGrace: '3h' });
    expect(remarksOf(dry).some((remark) => remark.startsWith('dryRun'))).toBe(true);
  });

  test('repositories that no glob here names are refused, because another policy would take them', () => {
    const result = convertPolicies('zot', { policies: [{ repositories: ['team-[ab]/*'] }] });
    expect(result.ok).toBe(false);
  });

  test.each([
    ['v2.*', '/.*v2.*/'],
    ['.*-prod', '/.*-prod.*/'],
    ['^v\\d+$', '/v\\d+/'],
    ['^v1', '/v1.*/'],
    ['v1$', '/.*v1/'],
    ['v1\\$', '/.*v1\\$.*/'],
    ['a|b', '/.*(?:a|b).*/'],
    ['^a$|^b$', '/.*(?:^a$|^b$).*/'],
    ['.*', '/.*/'],
  ])('the expression %s that may match anywhere is %s', (expression, anchored) => {
    expect(unanchored(expression)).toBe(anchored);
  });
});

describe('Harbor', () => {
  test('the policy that its API returns becomes a policy that is accepted', () => {
    expect(convert('harbor', examples.harbor, { repository: 'library' }).policies).toEqual([
      {
        repositories: ['library/**'],
        default: 'prune',
        rules: [
          { action: 'keep', mostRecentlyPushedCount: 5 },
          { action: 'keep', tagState: 'untagged', mostRecentlyPushedCount: 5 },
        ],
      },
    ]);
  });

  const rule = (template: string, params: object, tags: object, repositories: object = { pattern: '**' }): object => ({
    template,
    params,
    tag_selectors: [{ kind: 'doublestar', decoration: 'matches', extras: '{"untagged":false}', ...tags }],
    scope_selectors: { repository: [{ kind: 'doublestar', decoration: 'repoMatches', ...repositories }] },
  });

  test('the two rules of the documentation select the eight tags that it names', () => {
    const conversion = convert('harbor', {
      rules: [
        rule('latestPushedK', { latestPushedK: 10 }, { pattern: '2*' }),
        rule('latestPushedK', { latestPushedK: 10 }, { pattern: '*-prod' }),
      ],
    });
    const versions = ['2.1', '2.2', '3.1', '4.4'].flatMap((version) =>
      ['prod', 'rc', 'release'].map((kind) => [`${version}-your_repo-${kind}`, {}] as const),
    );
    expect(prunedBy(conversion, 'any', { tags: Object.fromEntries(versions) })).toEqual([
      '3.1-your_repo-rc',
      '3.1-your_repo-release',
      '4.4-your_repo-rc',
      '4.4-your_repo-release',
    ]);
  });

  test.each([
    [rule('latestPulledN', { latestPulledN: 3 }, { pattern: '**' }), { mostRecentlyPulledCount: 3 }],
    [rule('latestActiveK', { latestActiveK: 3 }, { pattern: '**' }), { mostRecentlyPulledCount: 3 }],
    [rule('nDaysSinceLastPush', { nDaysSinceLastPush: 7 }, { pattern: '**' }), { pushedWithin: '7d' }],
    [rule('lastXDays', { lastXDays: 7 }, { pattern: '**' }), { pushedWithin: '7d' }],
    [rule('nDaysSinceLastPull', { nDaysSinceLastPull: 7 }, { pattern: '**' }), { pulledWithin: '7d' }],
    [rule('always', {}, { pattern: '{latest,v*}' }), { tags: ['latest', 'v*'] }],
    [rule('always', {}, { decoration: 'excludes', pattern: 'latest' }), { exclude: ['latest'] }],
  ])('the rule %j becomes %j', (given, expected) => {
    expect(convert('harbor', { rules: [given] }).policies).toEqual([
      { repositories: ['**'], default: 'prune', rules: [{ action: 'keep', ...expected }] },
    ]);
  });

  test('rules for some repositories hold there with those for all of them', () => {
    const conversion = convert(
      'harbor',
      {
        rules: [
          rule('always', {}, { pattern: 'latest' }),
          rule('always', {}, { pattern: 'v*' }, { pattern: '{web,api}/*' }),
          rule('always', {}, { pattern: 'x' }, { decoration: 'repoExcludes', pattern: 'web/old' }),
        ],
      },
      { repository: 'team' },
    );
    const keep = (tags: string) => ({ action: 'keep' as const, tags: [tags] });
    expect(conversion.policies).toEqual([
      { repositories: ['team/web/old'], default: 'prune', rules: [keep('latest'), keep('v*')] },
      { repositories: ['team/web/*', 'team/api/*'], default: 'prune', rules: [keep('latest'), keep('v*'), keep('x')] },
      { repositories: ['team/**'], default: 'prune', rules: [keep('latest'), keep('x')] },
    ]);
  });

  test('a repository that no rule is for is left alone', () => {
    const conversion = convert('harbor', {
      rules: [rule('always', {}, { pattern: 'v*' }, { decoration: 'repoExcludes', pattern: 'kept' })],
    });
    expect(prunedBy(conversion, 'kept', { tags: { a: {}, b: {} } })).toEqual([]);
    expect(prunedBy(conversion, 'other', { tags: { a: {}, v1: {} } })).toEqual(['a']);
  });

  test('repositories that two patterns may both name keep what either keeps, and this is said', () => {
    const conversion = convert('harbor', {
      rules: [
        rule('always', {}, { pattern: 'a' }, { pattern: 'team-*' }),
        rule('always', {}, { pattern: 'b' }, { pattern: '*-web' }),
      ],
    });
    expect(prunedBy(conversion, 'team-web', { tags: { a: {}, b: {}, c: {} } })).toEqual(['c']);
    expect(remarksOf(conversion).filter((remark) => remark.includes('A repository may be named by'))).toHaveLength(1);
  });

  test('rules that are disabled or keep nothing are left out, and this is said', () => {
    const conversion = convert('harbor', {
      rules: [
        { ...rule('always', {}, { pattern: '**' }), disabled: true },
        rule('nothing', {}, { pattern: '**' }),
        rule('latestPushedK', { latestPushedK: 0 }, { pattern: '**' }),
      ],
    });
    expect(conversion.policies).toEqual([]);
    expect(remarksOf(conversion).slice(0, 3)).toEqual([
      'rules[0]: Left out: it is disabled.',
      'rules[1]: Left out, because it keeps nothing: nothing.',
      'rules[2]: Left out, because it keeps nothing: latestPushedK.',
    ]);
  });

  test('that an image is selected by any of its tags there is said', () => {
    expect(remarksOf(convert('harbor', examples.harbor)).some((remark) => remark.includes('by any of its tags'))).toBe(
      true,
    );
  });
});

describe('ECR', () => {
  test('by age', () => {
    const conversion = convert('ecr', examples.ecrByAge, { repository: 'app' });
    expect(conversion.policies).toEqual([
      {
        repositories: 'app',
        default: 'keep',
        rules: [{ action: 'prune', name: 'Expire images older than 14 days', tagState: 'untagged', olderThan: '14d' }],
      },
    ]);
    expect(prunedBy(conversion, 'app', { untagged: { a: {}, b: { pushed: '13d' } }, tags: { c: {} } })).toEqual(['a']);
  });

  test('by age, of tags that begin alike', () => {
    const tags = { 'prod-1': {}, 'prod-2': { pushed: '13d' }, dev: {} };
    expect(prunedBy(convert('ecr', examples.ecrByAgeOfTags), 'app', { tags })).toEqual(['prod-1']);
  });

  test('by count', () => {
    const untagged = { a: { pushed: '61d' }, b: { pushed: '60d' }, c: { pushed: '62d' } };
    expect(prunedBy(convert('ecr', examples.ecrByCount), 'app', { untagged })).toEqual(['a', 'c']);
  });

  // The documentation's repository: A has beta-1 and prod-1, B has beta-2 and prod-2, C has beta-3.
  const tags = {
    'beta-1': { pushed: '10d' },
    'prod-1': { pushed: '10d' },
    'beta-2': { pushed: '9d' },
    'prod-2': { pushed: '9d' },
    'beta-3': { pushed: '8d' },
  };

  test('prod before beta: of the documented images A goes, and B stays by its other tag', () => {
    expect(prunedBy(convert('ecr', examples.ecrProdFirst), 'app', { tags })).toEqual(['beta-1', 'prod-1', 'beta-2']);
  });

  test('beta before prod: A goes; B, which goes there, stays by prod-2, and this is what the remark is about', () => {
    const conversion = convert('ecr', examples.ecrBetaFirst);
    expect(prunedBy(conversion, 'app', { tags })).toEqual(['beta-1', 'prod-1', 'beta-2']);
    expect(remarksOf(conversion).some((remark) => remark.includes('the image stays under the first'))).toBe(true);
  });

  test('no rule removes what a rule of a higher priority names', () => {
    const conversion = convert('ecr', {
      rules: [
        {
          rulePriority: 9,
          selection: { tagStatus: 'any', countType: 'sinceImagePushed', countUnit: 'days', countNumber: 14 },
          action: { type: 'expire' },
        },
        {
          rulePriority: 1,
          selection: {
            tagStatus: 'tagged',
            tagPatternList: ['prod*'],
            countType: 'imageCountMoreThan',
            countNumber: 2,
          },
          action: { type: 'expire' },
        },
      ],
    });
    const images = {
      tags: {
        prod1: { pushed: '90d' },
        prod2: { pushed: '80d' },
        prod3: { pushed: '70d' },
        dev: { pushed: '20d' },
        new: { pushed: '9d' },
      },
      untagged: { x: {} },
    };
    expect(prunedBy(conversion, 'app', images)).toEqual(['prod1', 'dev', 'x']);
  });

  test('a rule with several patterns is left out, and what it names is left alone', () => {
    const conversion = convert('ecr', examples.ecrSeveralPatterns);
    expect(conversion.policies[0]?.rules).toEqual([]);
    expect(remarksOf(conversion)[0]).toBe(
      'rules[0]: Left out, so it removes nothing: it asks for images that have a tag for each of its patterns.',
    );
  });

  test('by the last pull, and what is about the archive', () => {
    const conversion = convert('ecr', {
      rules: [
        {
          rulePriority: 1,
          selection: { tagStatus: 'any', countType: 'sinceImagePulled', countUnit: 'days', countNumber: 60 },
          action: { type: 'transition', targetStorageClass: 'archive' },
        },
        {
          rulePriority: 2,
          selection: { tagStatus: 'any', countType: 'sinceImagePulled', countUnit: 'days', countNumber: 90 },
          action: { type: 'expire' },
        },
      ],
    });
    expect(conversion.policies[0]?.rules).toEqual([
      { action: 'prune', notPulledFor: '90d' },
      { action: 'prune', tagState: 'untagged', notPulledFor: '90d' },
    ]);
    expect(remarksOf(conversion)[0]).toStartWith('rules[0]: Left out, so it removes nothing: it is about the archive');
  });
});

describe('Artifact Registry', () => {
  const conversion = convert('artifact-registry', examples.artifactRegistry, { repository: 'apps' });

  test('the documented policies become policies that are accepted', () => {
    const release = { name: 'keep-tagged-release', action: 'keep' as const, tags: ['release*'] };
    const minimum = {
      name: 'keep-minimum-versions',
      action: 'keep' as const,
      tagState: 'any' as const,
      mostRecentlyPushedCount: 5,
    };
    const prerelease = {
      name: 'delete-prerelease',
      action: 'prune' as const,
      tags: ['alpha*', 'v0*'],
      olderThan: '30d',
    };
    expect(conversion.policies).toEqual([
      { repositories: ['apps/webapp**', 'apps/mobile**'], default: 'keep', rules: [prerelease, release, minimum] },
      { repositories: ['apps/sandbox**'], default: 'keep', rules: [prerelease, minimum] },
      { repositories: ['apps/**'], default: 'keep', rules: [prerelease] },
    ]);
  });

  test('keep beats delete, counts are for each package, and prefixes are of names', () => {
    const old = Object.fromEntries(
      [1, 2, 3, 4, 5, 6, 7].map((number) => [`v0.${number}`, { pushed: `${100 - number}d` }]),
    );
    const tags = { ...old, 'alpha-new': { pushed: '29d' }, release: {} };
    expect(prunedBy(conversion, 'apps/webapp', { tags })).toEqual(['v0.1', 'v0.2', 'v0.3']);
    expect(prunedBy(conversion, 'apps/other', { tags })).toEqual(Object.keys(old));
    expect(prunedBy(conversion, 'elsewhere/webapp', { tags })).toEqual([]);
  });

  test('policies by their ids, with lengths of time in seconds, for tags and untagged manifests', () => {
    const byId = convert('artifact-registry', { cleanupPolicies: examples.artifactRegistryById });
    expect(byId.policies).toEqual([
      {
        repositories: ['**'],
        default: 'keep',
        rules: [
          { name: 'delete-stale', action: 'prune', tagState: 'any', olderThan: '1d' },
          { name: 'keep-new-untagged', action: 'keep', tagState: 'untagged', pushedWithin: '7d' },
          { name: 'keep-latest', action: 'keep', tagState: 'any', mostRecentlyPushedCount: 5 },
        ],
      },
    ]);
  });

  test('no time at all and the empty beginning of a package limit nothing', () => {
    const condition = { tagState: 'any', olderThan: '0s', packageNamePrefixes: [''] };
    expect(convert('artifact-registry', [{ name: 'all', action: { type: 'Delete' }, condition }]).policies).toEqual([
      { repositories: ['**'], default: 'keep', rules: [{ name: 'all', action: 'prune', tagState: 'any' }] },
    ]);
  });

  test('digests cannot be named: a rule that deletes those is left out, one that keeps them keeps all', () => {
    const condition = { versionNamePrefixes: ['sha256:ab'] };
    const versions = convert('artifact-registry', [
      { name: 'a', action: { type: 'Delete' }, condition },
      { name: 'b', action: { type: 'Keep' }, condition },
    ]);
    expect(versions.policies.flatMap(({ rules }) => rules ?? [])).toEqual([
      { name: 'b', action: 'keep', tagState: 'any' },
    ]);
    expect(remarksOf(versions).slice(0, 2)).toEqual([
      '[0]: Left out, so it removes nothing: digests cannot be named by how they begin.',
      '[1]: It keeps more here: digests cannot be named by how they begin, so all are kept.',
    ]);
  });
});

test.each([
  ['168h', '7d'],
  ['2592000s', '30d'],
  ['1h30m0s', '1h30m'],
  ['1.5h', '1h30m'],
  ['0s', undefined],
  [`${'9'.repeat(400)}s`, undefined],
  ['5', undefined],
  ['1 day', undefined],
])('the length of time %s is %s', (text, ours) => {
  expect(foreignDuration(text)).toBe(ours);
});

test('patterns of doublestar become globs that mean the same, or none', () => {
  expect(repositoryGlobs('{infra,prod}/*')).toEqual(['infra/*', 'prod/*']);
  expect(repositoryGlobs('{a,{b,c}}/x')).toEqual(['a/x', 'b/x', 'c/x']);
  expect(repositoryGlobs('team**')).toEqual(['team*']);
  expect(repositoryGlobs('team/**')).toEqual(['team/**']);
  expect(repositoryGlobs('te[ax]m')).toBeUndefined();
  expect(repositoryGlobs('{a')).toBeUndefined();
  expect(repositoryGlobs('Team')).toBeUndefined();
  expect(tagGlobs('{latest, v**}')).toEqual(['latest', 'v*']);
});
