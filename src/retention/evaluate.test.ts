import { describe, expect, test } from 'bun:test';
import { decide, now, pruned, repositoryFacts, timeAt, policyOf, type Given } from '../../test/retention/facts.ts';
import type { PolicyDefinition, RuleDefinition } from './definition.ts';
import { evaluate } from './evaluate.ts';

const hour = 3_600_000;
const day = 24 * hour;

/** Without rails, so that nothing but the rules decides. */
const noRails = { mayPruneLastTag: true, grace: '0', untaggedGrace: '0' };

function keeping(...rules: readonly Omit<RuleDefinition, 'action'>[]): PolicyDefinition {
  return policy('prune', ...rules.map((rule) => Object.assign({ action: 'keep' as const }, rule)));
}

function pruning(...rules: readonly Omit<RuleDefinition, 'action'>[]): PolicyDefinition {
  return policy('keep', ...rules.map((rule) => Object.assign({ action: 'prune' as const }, rule)));
}

function policy(byDefault: 'keep' | 'prune', ...rules: readonly RuleDefinition[]): PolicyDefinition {
  return { repositories: '**', default: byDefault, rules, rails: noRails };
}

/** Tags that differ in nothing but their names. */
function tagsNamed(...names: readonly string[]): Record<string, Given> {
  return Object.fromEntries(names.map((name) => [name, {}]));
}

type Row = readonly [string, PolicyDefinition, Record<string, Given>, readonly string[]];

/** Each row: what it shows, the policy, the tags, and those that are pruned. */
function tests(rows: readonly Row[]): void {
  test.each(rows)('%s', (_, definition, tags, expected) => {
    expect(pruned(definition, { tags })).toEqual(expected);
  });
}

describe('which tags a rule selects', () => {
  const names = tagsNamed('latest', 'v1', 'v1-rc1', 'v2', 'rev2');
  tests([
    ['a rule without a pattern is about every tag', pruning({}), names, Object.keys(names)],
    ['a glob must match the whole tag', pruning({ tags: 'v*' }), names, ['v1', 'v1-rc1', 'v2']],
    ['an expression must match the whole tag', pruning({ tags: '/v\\d/' }), names, ['v1', 'v2']],
    ['one of several patterns is enough', pruning({ tags: ['latest', '/rev.*/'] }), names, ['latest', 'rev2']],
    ['exclude takes away', pruning({ tags: 'v*', exclude: ['*-rc*', '/v2/'] }), names, ['v1']],
    ['exclude does without tags', pruning({ exclude: 'v*' }), names, ['latest', 'rev2']],
    ['case matters', pruning({ tags: 'V*' }), names, []],
    ['a rule is about tags unless it says otherwise', pruning({ tagState: 'untagged' }), names, []],
    ['a rule may be about both', pruning({ tagState: 'any' }), names, Object.keys(names)],
  ]);

  tests([
    [
      'each label must be there and match',
      pruning({ labels: { team: 'a*', stage: 'test' } }),
      {
        both: { labels: { team: 'ab', stage: 'test', other: 'x' } },
        wrong: { labels: { team: 'ab', stage: 'live' } },
        lacking: { labels: { team: 'ab' } },
        none: {},
      },
      ['both'],
    ],
    [
      'annotations are looked at like labels, and are something else',
      pruning({ annotations: { url: 'https://example.com/**' } }),
      { a: { annotations: { url: 'https://example.com/x/y' } }, b: { labels: { url: 'https://example.com/x' } } },
      ['a'],
    ],
    [
      'a label that every object has is none',
      pruning({ labels: { toString: '**' } }),
      { a: {}, b: { labels: { toString: 'x' } } },
      ['b'],
    ],
    [
      'an artifact type must be there to match',
      pruning({ artifactType: ['application/vnd.example.*'] }),
      {
        sbom: { artifactType: 'application/vnd.example.sbom' },
        other: { artifactType: 'application/vnd.other' },
        image: {},
      },
      ['sbom'],
    ],
    [
      'the media type is that of the manifest',
      pruning({ mediaType: 'application/vnd.docker.**' }),
      { docker: { mediaType: 'application/vnd.docker.distribution.manifest.v2+json' }, oci: {} },
      ['docker'],
    ],
    ['signed ones only', pruning({ signed: true }), { yes: { isSigned: true }, no: {} }, ['yes']],
    ['those that are not signed only', pruning({ signed: false }), { yes: { isSigned: true }, no: {} }, ['no']],
  ]);
});

describe('times', () => {
  const ages = { just: { pushed: '6d23h' }, atOnce: { pushed: '7d' }, older: { pushed: '8d' } };
  tests([
    [
      'pushedWithin holds until the time is over, and not at it',
      keeping({ pushedWithin: '7d' }),
      ages,
      ['atOnce', 'older'],
    ],
    ['olderThan holds from the time on', pruning({ olderThan: '7d' }), ages, ['atOnce', 'older']],
    [
      'pushedWithin is about the push, taggedWithin about when the tag came to lead there',
      keeping({ pushedWithin: '7d' }),
      { moved: { pushed: '30d', tagged: '1d' } },
      ['moved'],
    ],
    [
      'a new tag on an old digest renews taggedWithin',
      keeping({ taggedWithin: '7d' }),
      { moved: { pushed: '30d', tagged: '1d' } },
      [],
    ],
    [
      'taggedWithin ends like the others',
      keeping({ taggedWithin: '7d' }),
      { moved: { pushed: '1d', tagged: '7d' } },
      ['moved'],
    ],
    [
      'a new tag on an old digest renews its age',
      pruning({ olderThan: '7d' }),
      { moved: { pushed: '30d', tagged: '1d' }, pushed: { pushed: '1d', tagged: '30d' }, old: { pushed: '30d' } },
      ['old'],
    ],
    [
      'pulledWithin counts from the last pull',
      keeping({ pulledWithin: '30d' }),
      { often: { pulled: '29d' }, atOnce: { pulled: '30d' }, never: {} },
      ['atOnce', 'never'],
    ],
    [
      'what was never pulled counts as used when it was pushed or tagged',
      keeping({ pulledWithin: '30d' }),
      { fresh: { pushed: '1d' }, moved: { pushed: '90d', tagged: '1d' }, old: { pushed: '90d' } },
      ['old'],
    ],
    [
      'a push after the last pull counts as use',
      keeping({ pulledWithin: '30d' }),
      { again: { pushed: '1d', pulled: '60d' } },
      [],
    ],
    [
      'notPulledFor counts from the last use',
      pruning({ notPulledFor: '30d' }),
      {
        used: { pulled: '29d' },
        atOnce: { pulled: '30d' },
        fresh: { pushed: '1d' },
        moved: { pushed: '90d', tagged: '1d' },
        never: { pushed: '90d' },
      },
      ['atOnce', 'never'],
    ],
    [
      'all criteria of a rule must hold',
      pruning({ olderThan: '30d', notPulledFor: '7d' }),
      { both: { pulled: '8d' }, used: { pulled: '6d' }, young: { pushed: '10d' } },
      ['both'],
    ],
    [
      'any of several rules is enough',
      pruning({ olderThan: '90d' }, { notPulledFor: '7d' }),
      { old: { pulled: '1d' }, unused: { pushed: '8d' }, neither: { pushed: '8d', pulled: '1d' } },
      ['old', 'unused'],
    ],
    [
      'what was pushed lately may be named too',
      pruning({ pushedWithin: '7d' }),
      { new: { pushed: '1d' }, old: { pushed: '8d' } },
      ['new'],
    ],
  ]);

  tests([
    [
      'what has no push time is kept from the default',
      policy('prune'),
      { unknown: { pushed: null, tagged: null } },
      [],
    ],
    [
      'and from every rule',
      pruning({}, { olderThan: '1d' }),
      { unknown: { pushed: null, tagged: null, pulled: '90d' } },
      [],
    ],
    ['a missing tag time keeps', keeping({ taggedWithin: '1d' }), { unknown: { tagged: null } }, []],
    ['and it does not prune', pruning({ taggedWithin: '1d' }), { unknown: { tagged: null, pushed: '2h' } }, []],
  ]);
});

describe('counts', () => {
  const tags = { a: { pushed: '3d' }, b: { pushed: '1d' }, c: { pushed: '2d' } };
  tests([
    ['the most recently pushed are kept', keeping({ mostRecentlyPushedCount: 2 }), tags, ['a']],
    ['a count of 0 keeps nothing', keeping({ mostRecentlyPushedCount: 0 }), tags, ['a', 'b', 'c']],
    ['a count beyond all keeps all', keeping({ mostRecentlyPushedCount: 9 }), tags, []],
    [
      'at the same time the greater name is the later',
      keeping({ mostRecentlyPushedCount: 2 }),
      tagsNamed('v1', 'v3', 'v2'),
      ['v1'],
    ],
    [
      'only what the rule selects is counted',
      keeping({ mostRecentlyPushedCount: 1, tags: ['a', 'c'] }),
      tags,
      ['a', 'b'],
    ],
    [
      'other criteria do not free places',
      keeping({ mostRecentlyPushedCount: 1, olderThan: '36h' }),
      tags,
      ['a', 'b', 'c'],
    ],
    [
      'the unit is the tag: two tags of one digest take two places',
      keeping({ mostRecentlyPushedCount: 1 }),
      { one: { contents: { same: 1 } }, two: { contents: { same: 1 } } },
      ['one'],
    ],
    [
      'what has no push time takes no place',
      keeping({ mostRecentlyPushedCount: 1 }),
      { ...tags, unknown: { pushed: null, tagged: null } },
      ['a', 'c'],
    ],
    [
      'the most recently pulled are kept',
      keeping({ mostRecentlyPulledCount: 1 }),
      { a: { pulled: '1d' }, b: { pulled: '2d' } },
      ['b'],
    ],
    [
      'never pulled counts as pulled when it was pushed',
      keeping({ mostRecentlyPulledCount: 2 }),
      { pulled: { pulled: '5d' }, fresh: { pushed: '1d' }, old: {} },
      ['old'],
    ],
    [
      'two counts in a rule must both hold',
      keeping({ mostRecentlyPushedCount: 1, mostRecentlyPulledCount: 1 }),
      { pushed: { pushed: '1d' }, pulled: { pulled: '1h' } },
      ['pushed', 'pulled'],
    ],
    [
      'two counts in two rules add up',
      keeping({ mostRecentlyPushedCount: 1 }, { mostRecentlyPulledCount: 1 }),
      { pushed: { pushed: '1d' }, pulled: { pulled: '1h' }, neither: {} },
      ['neither'],
    ],
    [
      'pinned tags take their places',
      keeping({ mostRecentlyPushedCount: 1 }),
      { a: { pushed: '1d', isPinned: true }, b: { pushed: '2d' } },
      ['b'],
    ],
  ]);

  test('untagged manifests take no places of tags', () => {
    const rule = keeping({ mostRecentlyPushedCount: 1, tagState: 'any' });
    const untagged = { x: { pushed: '1h' }, y: { pushed: '2h' } };
    expect(pruned(rule, { tags, untagged })).toEqual(['a', 'c', 'y']);
  });
});

describe('groups', () => {
  const builds = {
    'main-1': { pushed: '9d' },
    'main-2': { pushed: '8d' },
    'fix-1': { pushed: '3d' },
    'fix-2': { pushed: '2d' },
    'fix-3': { pushed: '1d' },
    latest: { pushed: '1d' },
  };
  const groupBy = '/(.+)-\\d+/';
  tests([
    [
      'each group is counted by itself, and what is in no group is not selected',
      keeping({ groupBy, mostRecentlyPushedCount: 1 }),
      builds,
      ['main-1', 'fix-1', 'fix-2', 'latest'],
    ],
    [
      'tags and exclude narrow what is grouped',
      keeping({ groupBy, mostRecentlyPushedCount: 1, exclude: 'fix-3' }),
      builds,
      ['main-1', 'fix-1', 'fix-3', 'latest'],
    ],
    [
      'groups by the last pull',
      keeping({ groupBy, mostRecentlyPulledCount: 1 }),
      { 'a-1': { pulled: '1d' }, 'a-2': { pulled: '2d' }, 'b-1': {} },
      ['a-2'],
    ],
    [
      'a group that takes no part in the match is none',
      keeping({ groupBy: '/(?:(x)-)?\\d/', mostRecentlyPushedCount: 1 }),
      tagsNamed('1', 'x-1'),
      ['1'],
    ],
    [
      'an empty group is one',
      keeping({ groupBy: '/(x?)\\d/', mostRecentlyPushedCount: 1 }),
      tagsNamed('1', '2', 'x1'),
      ['1'],
    ],
    [
      'versions within groups',
      keeping({ groupBy: '/[0-9.]+-?(.*)/', semver: { newest: 1, prereleases: 'include' } }),
      tagsNamed('1.0.0-alpine', '1.1.0-alpine', '1.0.0', '1.2.0'),
      ['1.0.0-alpine', '1.0.0'],
    ],
  ]);
});

describe('versions', () => {
  const versions = tagsNamed('1.0.0', '1.0.1', '1.1.0', '1.10.0', '1.9.0', '2.0.0', '2.0.1-rc.1', '2.0.1-rc.2');
  tests([
    [
      'the newest are by version, not by time or letters',
      keeping({ semver: { newest: 2 } }),
      versions,
      ['1.0.0', '1.0.1', '1.1.0', '1.9.0', '2.0.1-rc.1', '2.0.1-rc.2'],
    ],
    [
      'the newest of each major version',
      keeping({ semver: { newest: 1, per: 'major' } }),
      versions,
      ['1.0.0', '1.0.1', '1.1.0', '1.9.0', '2.0.1-rc.1', '2.0.1-rc.2'],
    ],
    [
      'the newest of each minor version',
      keeping({ semver: { newest: 1, per: 'minor' } }),
      versions,
      ['1.0.0', '2.0.1-rc.1', '2.0.1-rc.2'],
    ],
    [
      'pre-releases can be counted with the others',
      keeping({ semver: { newest: 1, per: 'major', prereleases: 'include' } }),
      versions,
      ['1.0.0', '1.0.1', '1.1.0', '1.9.0', '2.0.0', '2.0.1-rc.1'],
    ],
    [
      'a release is newer than its pre-releases',
      keeping({ semver: { newest: 1, prereleases: 'include' } }),
      tagsNamed('1.0.0-rc.1', '1.0.0', '1.0.0-rc.2'),
      ['1.0.0-rc.1', '1.0.0-rc.2'],
    ],
    [
      'only pre-releases',
      keeping({ semver: { newest: 1, per: 'major', prereleases: 'only' } }),
      versions,
      ['1.0.0', '1.0.1', '1.1.0', '1.10.0', '1.9.0', '2.0.0', '2.0.1-rc.1'],
    ],
    [
      'a v before it changes nothing, and both spellings of a version are one',
      keeping({ semver: { newest: 1 } }),
      tagsNamed('v1.2.3', '1.2.3', 'v1.2.2'),
      ['v1.2.2'],
    ],
    [
      'what is not a whole version is not selected',
      keeping({ semver: { newest: 9 } }),
      tagsNamed('1', '1.2', 'v1', 'latest', '01.2.3', '1.2.3.4', 'V1.2.3', '1.2.3_build', 'release-1.2.3', '1.2.3'),
      ['1', '1.2', 'v1', 'latest', '01.2.3', '1.2.3.4', 'V1.2.3', '1.2.3_build', 'release-1.2.3'],
    ],
    ['a count of 0 keeps nothing', keeping({ semver: { newest: 0 } }), tagsNamed('1.0.0'), ['1.0.0']],
  ]);
});

describe('sizes', () => {
  const sizes = { small: { contents: { s: 100 } }, exact: { contents: { e: 1000 } }, large: { contents: { l: 1001 } } };
  tests([
    ['largerThan is more than', pruning({ largerThan: '1000B' }), sizes, ['large']],
    ['a rule may keep by size', keeping({ largerThan: '1000B' }), sizes, ['small', 'exact']],
    ['a size that is not known keeps', keeping({ largerThan: '1000B' }), { unknown: { sizeBytes: null } }, []],
    ['and does not prune', pruning({ largerThan: '0B' }), { unknown: { sizeBytes: null } }, []],
  ]);

  const shared = {
    old: { pulled: '9d', contents: { base: 600, o: 200 } },
    middle: { pulled: '5d', contents: { base: 600, m: 200 } },
    new: { pulled: '1d', contents: { base: 600, n: 200 } },
  };
  tests([
    ['all that fits together stays, shared layers counted once', pruning({ budget: '1200B' }), shared, []],
    ['the least recently used goes first', pruning({ budget: '1199B' }), shared, ['old']],
    ['and so on', pruning({ budget: '999B' }), shared, ['old', 'middle']],
    ['a budget of 0 leaves nothing', pruning({ budget: '0B' }), shared, ['old', 'middle', 'new']],
    ['a rule may keep what fits', keeping({ budget: '1000B' }), shared, ['old']],
    [
      'once one does not fit, none that was used less recently stays, however small',
      pruning({ budget: '900B' }),
      {
        new: { pulled: '1d', contents: { n: 500 } },
        big: { pulled: '2d', contents: { b: 500 } },
        tiny: { contents: { t: 1 } },
      },
      ['big', 'tiny'],
    ],
    [
      'used at the same time, the lesser name goes first',
      pruning({ budget: '1000B' }),
      { a: { contents: { a: 600 } }, b: { contents: { b: 600 } } },
      ['a'],
    ],
    [
      'what a rule keeps is counted first, and stays whatever it takes',
      policy('keep', { action: 'keep', tags: 'old' }, { action: 'prune', budget: '1000B' }),
      shared,
      ['middle'],
    ],
    [
      'so is what is pinned',
      pruning({ budget: '1000B' }),
      { ...shared, old: { ...shared.old, isPinned: true } },
      ['middle'],
    ],
    ['what the rule does not select is not counted', pruning({ budget: '1000B', exclude: 'new' }), shared, []],
    [
      'what nobody knows the use of is counted first',
      keeping({ budget: '1000B' }),
      { ...shared, old: { ...shared.old, pushed: null, tagged: null } },
      ['middle'],
    ],
  ]);

  test('what is in its grace is counted in a budget and stays', () => {
    const definition = { ...pruning({ budget: '1000B' }), rails: { ...noRails, grace: '1d' } };
    const repository = { tags: { ...shared, fresh: { pushed: '1h', contents: { f: 900 } } } };
    expect(pruned(definition, repository)).toEqual(['old', 'middle', 'new']);
  });
});

describe('keep, prune and the default', () => {
  const both = [
    { action: 'prune', tags: 'v*' },
    { action: 'keep', tags: '*1' },
  ] as const;
  tests([
    ['keep beats prune, whatever their order', policy('keep', ...both), tagsNamed('v1', 'v2', 'w1', 'w2'), ['v2']],
    ['also the other way round', policy('keep', ...both.toReversed()), tagsNamed('v1', 'v2', 'w1', 'w2'), ['v2']],
    [
      'what no rule names falls to the default',
      policy('prune', ...both),
      tagsNamed('v1', 'v2', 'w1', 'w2'),
      ['v2', 'w2'],
    ],
    ['without rules the default decides alone', policy('prune'), tagsNamed('a', 'b'), ['a', 'b']],
    ['a default of keep prunes nothing by itself', policy('keep'), tagsNamed('a'), []],
    ['what is pinned stays', policy('prune'), { a: { isPinned: true }, b: {} }, ['b']],
    [
      'a tag about a manifest follows it, and takes no place',
      keeping({ mostRecentlyPushedCount: 1 }),
      { a: { pushed: '2d' }, b: { pushed: '1d', follows: 'subject' } },
      [],
    ],
  ]);

  test('the first rule in order is named as the reason, keeping ones before pruning ones', () => {
    const definition = policy(
      'keep',
      { action: 'prune' },
      { action: 'keep', tags: 'v*' },
      { action: 'keep', tags: '*1' },
    );
    const causes = [...decide(definition, { tags: tagsNamed('v1', 'w1', 'w2') }).values()].map(({ cause }) => cause);
    expect(causes).toMatchObject([
      { kind: 'rule', rule: { path: 'policies[0].rules[1]' } },
      { kind: 'rule', rule: { path: 'policies[0].rules[2]' } },
      { kind: 'rule', rule: { path: 'policies[0].rules[0]' } },
    ]);
  });
});

describe('untagged manifests', () => {
  test('children of an index and referrers are never selected for themselves', () => {
    const untagged = { child: { follows: 'index' }, signature: { follows: 'subject' }, alone: {} } as const;
    const verdicts = decide(policy('prune'), { untagged });
    expect([...verdicts].map(([name, { action, cause }]) => [name, action, cause.kind])).toEqual([
      ['child', 'keep', 'follows'],
      ['signature', 'keep', 'follows'],
      ['alone', 'prune', 'default'],
    ]);
  });

  test('a rule is about them where it says so', () => {
    const repository = { tags: tagsNamed('a'), untagged: { x: {}, y: { pushed: '1d' } } };
    expect(pruned(pruning({ tagState: 'untagged', olderThan: '7d' }), repository)).toEqual(['x']);
    expect(pruned(pruning({ olderThan: '7d' }), repository)).toEqual(['a']);
    expect(pruned(pruning({ tagState: 'any' }), repository)).toEqual(['a', 'x', 'y']);
    expect(pruned(keeping({ tagState: 'untagged', mostRecentlyPushedCount: 1 }), repository)).toEqual(['a', 'x']);
  });

  test('their grace counts from the last push, pull, or end of what held them', () => {
    const definition = { ...policy('prune'), rails: { ...noRails, untaggedGrace: '7d' } };
    const untagged = {
      gone: { pushed: '7d' },
      pushed: { pushed: '6d' },
      pulled: { pulled: '6d' },
      released: { untagged: '6d' },
      releasedLong: { untagged: '7d' },
    };
    const verdicts = decide(definition, { untagged });
    expect(pruned(definition, { untagged })).toEqual(['gone', 'releasedLong']);
    expect(verdicts.get('released')?.cause).toEqual({ kind: 'grace', until: timeAt('6d') + 7 * day });
    expect(verdicts.get('released')?.changesAt).toBe(timeAt('6d') + 7 * day);
  });

  test('the grace of every removal is theirs too', () => {
    const definition = { ...policy('prune'), rails: { ...noRails, grace: '3d' } };
    expect(pruned(definition, { untagged: { fresh: { pushed: '2d' }, old: { pushed: '3d' } } })).toEqual(['old']);
  });
});

describe('the grace of every removal', () => {
  const definition = { ...policy('prune'), rails: { ...noRails, grace: '3d' } };

  test('counts from the last push or tagging, not from pulls', () => {
    const tags = {
      pushed: { pushed: '2d' },
      moved: { tagged: '2d' },
      over: { pushed: '3d' },
      pulled: { pulled: '1h' },
    };
    expect(pruned(definition, { tags })).toEqual(['over', 'pulled']);
  });

  test('says until when it lasts', () => {
    const verdict = decide(definition, { tags: { a: { pushed: '2d' } } }).get('a');
    expect(verdict).toMatchObject({ action: 'keep', cause: { kind: 'grace', until: now + day }, changesAt: now + day });
  });

  test('is a day where the policy does not say, and 30 days for untagged manifests', () => {
    const usual = { repositories: '**', default: 'prune' } as const;
    const repository = {
      tags: { new: { pushed: '23h' }, old: { pushed: '24h' }, last: { pushed: '1h' } },
      untagged: { x: { pushed: '29d' }, y: { pushed: '30d' } },
    };
    expect(pruned(usual, repository)).toEqual(['old', 'y']);
  });
});

describe('the last tag', () => {
  const safe = { ...policy('prune'), rails: { grace: '0', untaggedGrace: '0' } };

  test('of those that would all go, the latest pushed or tagged stays', () => {
    const tags = { a: { pushed: '3d' }, b: { pushed: '5d', tagged: '1d' }, c: { pushed: '2d', pulled: '1h' } };
    expect(pruned(safe, { tags })).toEqual(['a', 'c']);
    expect(decide(safe, { tags }).get('b')?.cause).toEqual({ kind: 'lastTag' });
  });

  test('at the same time the greater name stays', () => {
    expect(pruned(safe, { tags: tagsNamed('b', 'c', 'a') })).toEqual(['b', 'a']);
  });

  test('goes where another stays, be it pinned', () => {
    expect(pruned(safe, { tags: { a: { isPinned: true }, b: { pushed: '1d' } } })).toEqual(['b']);
  });

  test('does not stay for a tag that follows another, or an untagged manifest', () => {
    const tags = { a: {}, signature: { pushed: '1h', follows: 'subject' } } as const;
    expect(pruned(safe, { tags, untagged: { x: {} } })).toEqual(['x']);
  });

  test('goes where the policy allows it', () => {
    expect(pruned(policy('prune'), { tags: tagsNamed('a') })).toEqual(['a']);
  });

  test('no tag at all is no reason to stay', () => {
    expect(pruned(safe, { untagged: { x: {} } })).toEqual(['x']);
  });
});

describe('when a decision may change', () => {
  const changes = (definition: PolicyDefinition, tags: Record<string, Given>): Record<string, string | number> =>
    Object.fromEntries(
      [...decide(definition, { tags })].map(([name, { action, changesAt }]) => [
        name,
        changesAt === null ? action : (changesAt - now) / hour,
      ]),
    );

  test('is when the time of a rule that keeps is over', () => {
    expect(changes(keeping({ pushedWithin: '7d' }), { a: { pushed: '6d' }, b: {} })).toEqual({ a: 24, b: 'prune' });
  });

  test('is when the time of a rule that prunes has come', () => {
    expect(changes(pruning({ olderThan: '7d' }), { a: { pushed: '6d' }, b: {} })).toEqual({ a: 24, b: 'prune' });
  });

  test('is the last of several that keep, one after the other', () => {
    const definition = keeping({ pushedWithin: '7d' }, { pulledWithin: '7d' }, { tags: 'x' });
    expect(changes(definition, { a: { pushed: '6d', pulled: '1d' }, x: { pushed: '6d' } })).toEqual({
      a: 144,
      x: 'keep',
    });
  });

  test('is not before the grace is over', () => {
    const definition = { ...pruning({ olderThan: '1d' }), rails: { ...noRails, grace: '3d' } };
    expect(changes(definition, { a: { pushed: '12h' } })).toEqual({ a: 60 });
  });

  test('is also when something that is to go may stay again', () => {
    expect(changes(pruning({ pushedWithin: '7d' }), { a: { pushed: '6d' } })).toEqual({ a: 24 });
    expect(changes(keeping({ olderThan: '7d' }), { a: { pushed: '6d' } })).toEqual({ a: 24 });
  });

  test('is never for what counts alone keep', () => {
    expect(changes(keeping({ mostRecentlyPushedCount: 1 }), { a: {}, b: { pushed: '1d' } })).toEqual({
      a: 'prune',
      b: 'keep',
    });
  });

  test('is never for what is pinned or has no push time', () => {
    const tags = { a: { isPinned: true, pushed: '1d' }, b: { pushed: null, tagged: '1d' } };
    expect(changes(keeping({ pushedWithin: '7d' }), tags)).toEqual({ a: 'keep', b: 'keep' });
  });

  test('is for the last tag when another may stay by itself', () => {
    const definition = { ...keeping({ tags: 'a', olderThan: '7d' }), rails: { grace: '0' } };
    expect(changes(definition, { a: { pushed: '6d' }, b: { pushed: '1d' } })).toEqual({ a: 24, b: 24 });
  });

  test('is for the latest tag, that is to go, when no other will stay', () => {
    const definition = { ...keeping({ exclude: 'latest', pushedWithin: '7d' }), rails: { grace: '0' } };
    const tags = { a: { pushed: '6d' }, b: { pushed: '5d' }, latest: { pushed: '1d' } };
    expect(changes(definition, tags)).toEqual({ a: 24, b: 48, latest: 48 });
  });

  test('is for what a budget judges when something that it must count need not stay any more', () => {
    const definition = policy('keep', { action: 'keep', pushedWithin: '7d' }, { action: 'prune', budget: '1500B' });
    expect(changes(definition, { kept: { pushed: '6d' }, in: {}, out: { pushed: '101d' } })).toEqual({
      kept: 24,
      in: 24,
      out: 24,
    });
  });

  test('is for the repository the earliest of all', () => {
    const facts = repositoryFacts({ tags: { a: { pushed: '6d' }, b: { pushed: '5d' }, c: {} } });
    expect(evaluate(policyOf(keeping({ pushedWithin: '7d' })), facts, now).changesAt).toBe(now + day);
    expect(evaluate(policyOf(policy('keep')), facts, now).changesAt).toBeNull();
  });
});

test('the verdicts come in the order of the facts, tags before untagged manifests', () => {
  const facts = repositoryFacts({ tags: tagsNamed('b', 'a'), untagged: { x: {} } });
  expect(evaluate(policyOf(policy('keep')), facts, now).verdicts.map(({ item }) => item)).toEqual([
    ...facts.tags,
    ...facts.untagged,
  ]);
});
