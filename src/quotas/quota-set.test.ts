import { describe, expect, test } from 'bun:test';
import { readConfigFile } from '../config/file.ts';
import { parseRepositoryName } from '../oci/names.ts';
import { QuotaSet } from './quota-set.ts';

function parsed(given: unknown): QuotaSet {
  const result = QuotaSet.parse(given);
  if (!result.ok) throw new Error(result.problems.join('\n'));
  return result.set;
}

function problemsOf(given: unknown): readonly string[] {
  const result = QuotaSet.parse(given);
  return result.ok ? [] : result.problems;
}

const hashesOf = (given: readonly object[]) => parsed(given).quotas.map(({ repositoriesHash }) => repositoriesHash);

test('a quota may leave out all but its repositories and one limit', () => {
  expect(parsed([{ repositories: 'a', tags: { soft: 1 } }]).quotas).toMatchObject([
    {
      position: 0,
      name: 'quotas[0]',
      isEach: false,
      bytes: { soft: undefined, hard: undefined },
      tags: { soft: 1, hard: undefined },
    },
  ]);
});

test('a repository is under the first quota that has a glob for it', () => {
  const set = parsed([
    { name: 'base', repositories: ['team/base', 'team/base/*'], bytes: { hard: '1GiB' } },
    { name: 'team', repositories: 'team/**', bytes: { hard: '10GB' }, each: 'true' },
  ]);
  const nameOf = (text: string): string | undefined => {
    const repo = parseRepositoryName(text);
    return repo && set.of(repo)?.name;
  };
  expect(['team/base/x', 'team/base/x/y', 'team', 'other'].map(nameOf)).toEqual(['base', 'team', 'team', undefined]);
  expect(set.quotas.map(({ bytes }) => bytes.hard)).toEqual([1024 ** 3, 10e9]);
});

test.each([
  ['a list', {}, 'quotas is a list of quotas'],
  ['of groups', ['team'], 'quotas[0] is a group of settings'],
  ['with repositories', [{ tags: { hard: 1 } }], 'quotas[0].repositories is missing. It takes globs such as'],
  ['that some can match', [{ repositories: 'Team', tags: { hard: 1 } }], 'quotas[0].repositories cannot be "Team": no'],
  ['with a limit', [{ repositories: 'a' }], 'quotas[0] limits nothing: give bytes, tags or both'],
  ['with a limit in it', [{ repositories: 'a', tags: {} }], 'quotas[0].tags limits nothing: give soft, hard or both'],
  [
    'soft before hard',
    [{ repositories: 'a', bytes: { soft: '2kB', hard: '1kB' } }],
    'quotas[0].bytes.soft is more than hard: a push would be refused before anybody is warned',
  ],
  ['with units', [{ repositories: 'a', bytes: { hard: 5 } }], 'quotas[0].bytes.hard cannot be "5": add a unit, as in'],
  [
    'with names',
    [{ repositories: 'a', byte: { hard: '5B' }, tags: { hard: 1 } }],
    'quotas[0].byte is not a setting (did you mean bytes?)',
  ],
  ['with words', [{ repositories: 'a', tags: { max: 1, hard: 1 } }], 'quotas[0].tags.max is not a setting'],
  [
    'of few',
    Array.from({ length: 101 }, () => ({ repositories: 'a', tags: { hard: 1 } })),
    'quotas has more than 100 quotas',
  ],
])('quotas are %s', (_, given, problem) => {
  const [first, ...others] = problemsOf(given);
  expect(first).toStartWith(problem);
  expect(others).toEqual([]);
});

test('two quotas have two names', () => {
  const quota = { name: 'a', repositories: 'a', tags: { hard: 1 } };
  expect(problemsOf([quota, { ...quota, repositories: 'b' }])).toEqual(['quotas: two of them are named "a"']);
});

test('a problem of a file is reported with its line', () => {
  const { quotas, problems } = readConfigFile(
    'wherry.yaml',
    'quotas:\n  - repositories: a\n    bytes:\n      hard: lots\n    tag: 5\n',
  );
  expect(problems).toEqual([]);
  const result = QuotaSet.parse(quotas?.value, quotas?.whereIs);
  expect(result.ok ? [] : result.problems.map((line) => line.split(' cannot')[0])).toEqual([
    'wherry.yaml:4: quotas[0].bytes.hard',
    'wherry.yaml:5: quotas[0].tag is not a setting (did you mean tags?)',
  ]);
});

describe('what is counted stays valid', () => {
  const team = { repositories: ['team/a', 'team/b'], tags: { hard: 1 } };
  const all = { repositories: '**', tags: { hard: 1 } };

  test('with another name, other limits, other quotas behind it, and globs in another order', () => {
    const other = { name: 'x', repositories: ['team/b', 'team/a'], bytes: { soft: '1kB' } };
    expect(hashesOf([other, { ...all, name: 'behind' }])).toEqual(hashesOf([team, all]));
    expect(hashesOf([team])).toEqual(hashesOf([team, all]).slice(0, 1));
  });

  test('but not with other globs, other quotas before it, or each for all', () => {
    const [ofTeam, ofAll] = hashesOf([team, all]);
    expect(hashesOf([all, team]).filter((hash) => hash === ofAll || hash === ofTeam)).toEqual([]);
    const [ofEach, behind] = hashesOf([{ ...team, each: true }, all]);
    expect([ofEach === ofTeam, behind === ofAll]).toEqual([false, true]);
    expect(hashesOf([{ ...team, repositories: 'team/a' }])).not.toEqual([ofTeam ?? '']);
  });
});

test('what is written down of quotas is read back as the same', () => {
  const set = parsed([
    { name: 'a', repositories: ['a', 'b/**'], each: true, bytes: { soft: '1MiB', hard: '10MB' }, tags: { hard: 0 } },
    { repositories: '**', bytes: { soft: '12345B' } },
  ]);
  const again = parsed(set.quotas.map(({ settings }): unknown => JSON.parse(settings)));
  expect(again.quotas).toEqual(set.quotas);
});
