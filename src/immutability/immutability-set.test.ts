import { expect, test } from 'bun:test';
import { parseRepositoryName, parseTagName } from '../oci/names.ts';
import { ImmutabilitySet } from './immutability-set.ts';

function setOf(given: unknown): ImmutabilitySet {
  const parsed = ImmutabilitySet.parse(given);
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
  return parsed.set;
}

function ruleOf(set: ImmutabilitySet, repo: string, tag?: string): string | undefined {
  const name = parseRepositoryName(repo);
  if (name === undefined) throw new Error(`${repo} is no repository`);
  if (tag === undefined) return set.ofRepository(name);
  const parsed = parseTagName(tag);
  if (parsed === undefined) throw new Error(`${tag} is no tag`);
  return set.ofTag(name, parsed);
}

const example = setOf([
  { name: 'releases', repositories: ['team/**'], tags: ['v*', '/[0-9.]+/'], exclude: 'v*-rc*' },
  { name: 'archive', repositories: 'archive/*' },
  { repositories: ['mixed'], exclude: ['latest'] },
]);

test.each([
  ['team/app', 'v1', 'releases'],
  ['team/a/b', '1.2', 'releases'],
  ['team/app', 'v1-rc1', undefined],
  ['team/app', 'latest', undefined],
  ['archive/app', 'latest', 'archive'],
  ['archive/a/b', 'latest', undefined],
  ['mixed', 'v1', 'immutable[2]'],
  ['mixed', 'latest', undefined],
])('%s:%s is under the rule %s', (repo, tag, rule) => {
  expect(ruleOf(example, repo, tag)).toBe(rule);
});

test('a whole repository is immutable by a rule that names no tags', () => {
  expect(['archive/app', 'team/app', 'mixed'].map((repo) => ruleOf(example, repo))).toEqual([
    'archive',
    undefined,
    undefined,
  ]);
});

test('rules can be written down and read again', () => {
  const again = setOf(JSON.parse(example.settings));
  expect(again.settings).toBe(example.settings);
  expect(ruleOf(again, 'team/app', '1.2')).toBe('releases');
});

test.each([
  [{}, ['immutable is a list of rules']],
  [[{ name: 'x' }], ['immutable[0].repositories is missing. It takes globs such as team/app, team/* and team/**.']],
  [[{ repositories: 'a', tag: 'x' }], ['immutable[0].tag is not a setting (did you mean tags?)']],
  [[{ repositories: 'a', tags: [] }], ['immutable[0].tags is an empty list']],
  [
    [{ repositories: 'a', tags: 'a b' }],
    [
      'immutable[0].tags cannot be "a b": no tag has " " in it; a regular expression stands between slashes, as in /v\\d+/. It takes tags, globs such as v*, or regular expressions such as /v\\d+/.',
    ],
  ],
  [
    [
      { name: 'x', repositories: 'a' },
      { name: 'x', repositories: 'b' },
    ],
    ['immutable: two of them are named "x"'],
  ],
])('%j is refused, and it is said why', (given, problems) => {
  expect(ImmutabilitySet.parse(given)).toEqual({ ok: false, problems });
});
