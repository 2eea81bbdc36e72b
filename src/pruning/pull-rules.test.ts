import { expect, test } from 'bun:test';
import { parseRepositoryName, type RepositoryName } from '../oci/names.ts';
import { anyPuller } from '../registry/puller.ts';
import { parsePolicySet } from '../retention/policy-set.ts';
import { PolicyPullRules } from './pull-rules.ts';

function rulesOf(...policies: readonly object[]): PolicyPullRules {
  const parsed = parsePolicySet(policies);
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
  return new PolicyPullRules(parsed.set);
}

function repository(text: string): RepositoryName {
  const name = parseRepositoryName(text);
  if (name === undefined) throw new Error(`${text} is not a repository`);
  return name;
}

test('more repositories and user agents than are remembered are still judged alike', () => {
  const rules = rulesOf(
    { repositories: 'a/**', default: 'keep', ignorePullsBy: { userAgents: 'bot-?*' } },
    { repositories: 'b/**', default: 'keep', countHeads: true },
  );
  const answers = (number: number) =>
    ['a', 'b', 'c'].flatMap((name) =>
      (['GET', 'HEAD'] as const).map((method) =>
        rules.counts(repository(`${name}/${number}`), { ...anyPuller, userAgent: `bot-${number}` }, method),
      ),
    );
  for (let number = 0; number < 12_000; number += 1) {
    expect(answers(number)).toEqual([false, false, true, true, true, false]);
  }
  expect(answers(0)).toEqual([false, false, true, true, true, false]);
});

test('who comes again is judged as the first time', () => {
  const rules = rulesOf({ repositories: '**', default: 'keep', ignorePullsBy: { userAgents: ['bot-?*', 'scanner'] } });
  for (const time of [1, 2]) {
    const answers = ['bot-1', 'client', 'scanner'].map((userAgent) =>
      rules.counts(repository('a'), { ...anyPuller, userAgent }, 'GET'),
    );
    expect({ time, answers }).toEqual({ time, answers: [false, true, false] });
  }
});

test('a user agent that a policy does not ask for is not looked for', () => {
  const rules = rulesOf({ repositories: '**', default: 'keep', ignorePullsBy: { users: 'scan-*' } });
  const pulledBy = (user: string) => ({
    user,
    robot: undefined,
    get userAgent(): string {
      throw new Error('it was looked for');
    },
  });
  expect(rules.counts(repository('a'), pulledBy('scan-1'), 'GET')).toBe(false);
  expect(rules.counts(repository('a'), pulledBy('alice'), 'GET')).toBe(true);
});
