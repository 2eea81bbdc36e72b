import { expect, test } from 'bun:test';
import { lintAccess } from './lint.ts';
import { parseAccessRules } from './parse.ts';

function remarks(
  access: unknown,
  groups: unknown = {},
  users?: readonly string[],
  services: readonly string[] = [],
): readonly string[] {
  const parsed = parseAccessRules({ value: access }, { value: groups });
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
  return lintAccess(parsed.rules, users && new Set(users), new Set(services)).map(
    ({ root, path, message }) => `${[root, ...path].join('.')} ${message}`,
  );
}

const wide = { who: 'authenticated', repositories: 'team/**', actions: ['pull', 'push'] };

test('nothing is remarked of rules that all matter', () => {
  const access = [
    wide,
    { who: { users: 'alice', groups: 'dev' }, repositories: 'team/app', actions: ['pull', 'delete'] },
  ];
  expect(remarks(access, { dev: ['bob'] }, ['alice', 'bob'])).toEqual([]);
});

test.each([
  [{ who: { users: 'alice' }, repositories: 'team/app', actions: 'pull' }],
  [{ who: 'authenticated', repositories: ['team/a/*', 'team/b'], actions: 'push' }],
  [{ who: { certificates: 'x', claims: { uri: 'y' } }, repositories: 'team', actions: ['push', 'pull'] }],
  [wide],
])('a rule is remarked that another one covers: %j', (narrow) => {
  expect(remarks([wide, narrow])).toEqual(['access.1 allows nothing that access[0] does not allow too']);
  if (narrow !== wide)
    expect(remarks([narrow, wide])).toEqual(['access.0 allows nothing that access[1] does not allow too']);
});

test.each([
  [{ who: 'anonymous', repositories: 'team/app', actions: 'pull' }],
  [{ who: 'authenticated', repositories: 'team/app', actions: 'delete' }],
  [{ who: 'authenticated', repositories: 'other', actions: 'pull' }],
  [{ who: { claims: { iss: 'y', sub: 'z' } }, repositories: 'team/app', actions: 'pull' }],
  [{ who: { users: 'corp:alice' }, repositories: 'team/app', actions: 'pull' }],
  [{ who: { groups: 'corp:dev' }, repositories: 'team/app', actions: 'pull' }],
])('one that reaches further is not: %j', (other) => {
  expect(remarks([wide, other])).toEqual([]);
});

test('a rule is remarked that means everybody of an issuer, but for a service that says itself what each may do', () => {
  const rule = { who: { claims: { iss: 'https://public.example.com' } }, repositories: 'x', actions: 'pull' };
  expect(remarks([rule])).toEqual([
    'access.0.who.claims is for everybody whom that issuer vouches for: add a claim that says who is meant',
  ]);
  expect(remarks([rule], {}, undefined, ['https://public.example.com'])).toEqual([]);
});

test('of claims, fewer cover more', () => {
  const rule = (claims: object) => ({ who: { claims }, repositories: 'x', actions: 'pull' });
  expect(remarks([rule({ iss: 'i', a: '1' }), rule({ iss: 'i', a: '1', b: '2' })])).toHaveLength(1);
  expect(remarks([rule({ iss: 'i', a: '1' }), rule({ iss: 'i', b: '2' })])).toEqual([]);
  expect(remarks([rule({ iss: 'i', a: '*' }), rule({ iss: 'i', a: '1' })])).toHaveLength(1);
});

test('a star covers nothing of what issuers say', () => {
  const rule = (who: object) => ({ who, repositories: 'x', actions: 'pull' });
  expect(remarks([rule({ users: '*' }), rule({ users: 'corp:alice' })])).toEqual([]);
  expect(remarks([rule({ users: 'corp:*' }), rule({ users: 'corp:alice' })])).toHaveLength(1);
  expect(remarks([rule({ users: '*' }), rule({ users: 'c*' })])).toHaveLength(1);
});

test('names are remarked that nobody has', () => {
  const access = [
    {
      who: { users: ['alice', 'eve', 'a*', 'corp:*'], groups: ['dev', 'ops', 'corp:ops'] },
      repositories: 'x',
      actions: 'pull',
    },
  ];
  expect(remarks(access, { dev: ['alice', 'bob', 'robot:ci'], idle: ['alice'] }, ['alice'])).toEqual([
    'access.0.who.users.1 is "eve": the password file has no such user',
    'access.0.who.groups.1 is "ops": no such group stands under groups, and those of issuers and certificates have whose they are before them, such as corp:staff',
    'groups.idle is in no rule',
    'groups.dev.1 is "bob", who is not in the password file',
  ]);
});

test('what takes all repositories is remarked where a rule names it for some', () => {
  const rule = (repositories: string, actions: string | readonly string[]) => ({
    who: { users: 'alice' },
    repositories,
    actions,
  });
  expect(remarks([rule('team/**', ['purge', 'restore'])])).toEqual([
    "access.0.actions has purge, which matters only in a rule for all repositories ('**')",
  ]);
  expect(remarks([rule('**', ['purge', 'admin'])])).toEqual([]);
  expect(remarks([rule('team/**', 'all')])).toEqual([]);
});
