import { expect, test } from 'bun:test';
import { readConfigFile } from '../config/file.ts';
import { parseAccessRules } from './parse.ts';

function problemsOf(text: string): readonly string[] {
  const { problems, access, groups } = readConfigFile('wherry.yaml', text);
  const parsed = parseAccessRules(access, groups);
  return [...problems, ...(parsed.ok ? [] : parsed.problems)];
}

function rule(text: string): string {
  return `access:\n  - ${text}\n`;
}

test('rules and groups are read as they are written', () => {
  const text = `groups:
  dev: [alice, "robot:ci", "user:robot"]
access:
  - who: { groups: dev, users: [bob, "*.ops"] }
    repositories: team/**
    actions: all
  - name: ci
    who: { claims: { iss: ci, repository: acme/* } }
    repositories: [a, b]
    actions: [pull, push]
`;
  const { access, groups } = readConfigFile('wherry.yaml', text);
  const parsed = parseAccessRules(access, groups);
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
  const [first, second] = parsed.rules.rules;
  expect(first?.name).toBe('access[0]');
  expect(first?.who.users.map(({ source }) => source)).toEqual(['bob', '*.ops']);
  expect(first?.actions.size).toBe(7);
  expect(second?.name).toBe('ci');
  expect([...(second?.actions ?? [])]).toEqual(['pull', 'push']);
  expect([...parsed.rules.groups]).toEqual([
    [
      'dev',
      [
        { kind: 'user', name: 'alice' },
        { kind: 'robot', name: 'ci' },
        { kind: 'user', name: 'robot' },
      ],
    ],
  ]);
});

test.each([
  ['{ who: anonymous, repositories: x, actions: psuh }', 'access[0].actions cannot be "psuh": this is none of these'],
  ['{ who: anonymous, repositories: x, actions: [pull, all] }', 'all stands alone, not in a list'],
  [
    '{ who: anonymous, repositories: Team, actions: pull }',
    'access[0].repositories cannot be "Team": no repository has "T"',
  ],
  ['{ who: anonymous, repositories: /x/, actions: pull }', 'not by regular expressions'],
  ['{ who: anonymous, actions: pull }', 'access[0].repositories is missing'],
  ['{ repositories: x, actions: pull }', 'access[0].who is missing'],
  ['{ who: anonymous, repositories: x, actions: [] }', 'access[0].actions is an empty list'],
  ['{ who: alice, repositories: x, actions: pull }', 'a group such as { users: [alice] }'],
  ['{ who: "robot:ci", repositories: x, actions: pull }', 'a group such as { robots: [ci] }'],
  ['{ who: {}, repositories: x, actions: pull }', 'access[0].who is nobody'],
  ['{ who: { claims: {} }, repositories: x, actions: pull }', 'access[0].who is nobody'],
  [
    '{ who: { claims: { repository: x } }, repositories: x, actions: pull }',
    'does not say whose claims these are: add iss',
  ],
  ['{ who: { claims: { uri: x, repository: x } }, repositories: x, actions: pull }', 'add iss'],
  [
    '{ who: { usres: a }, repositories: x, actions: pull }',
    'access[0].who.usres is not a setting (did you mean users?)',
  ],
  ['{ who: { users: "user:a" }, repositories: x, actions: pull }', 'write "a", as it stands under users'],
  [
    '{ who: anonymous, repository: x, actions: pull }',
    'access[0].repository is not a setting (did you mean repositories?)',
  ],
  ['{ who: anonymous, repositories: x, actions: all }', 'would let everybody restore, purge, admin without logging in'],
  ['{ who: anonymous, repositories: x, actions: [pull, admin] }', 'would let everybody admin without logging in'],
])('%s is refused with its line, and what is wrong with it', (text, problem) => {
  const problems = problemsOf(rule(text));
  expect(problems.join('\n')).toContain(problem);
  for (const one of problems) expect(one).toStartWith('wherry.yaml:2: ');
});

test.each([
  ['access: anonymous', 'access is a list of rules'],
  ['groups: [a]', 'groups is a group'],
  ['groups: { dev: [] }', 'groups.dev is an empty list'],
  ['groups: { "certificate:dev": a }', 'groups.certificate:dev has a colon in its name'],
  ['groups: { dev: "robot:" }', 'groups.dev cannot be "robot:": this is empty'],
])('%s is refused', (text, problem) => {
  expect(problemsOf(text).join('\n')).toContain(`wherry.yaml:1: ${problem}`);
});

test('two rules do not have the same name', () => {
  const one = '{ name: x, who: anonymous, repositories: x, actions: pull }';
  expect(problemsOf(`access: [${one}, ${one}]`)).toEqual(['access: two of the rules are named "x"']);
});
