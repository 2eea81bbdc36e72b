import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { parseRepositoryName, type RepositoryName } from '../oci/names.ts';
import { type Action, actions } from './action.ts';
import { anonymous, type Grant, type Identity, operator } from './identity.ts';
import { parseAccessRules } from './parse.ts';
import { AccessPolicy } from './policy.ts';
import { openRights } from './rights.ts';

function policyOf(access: unknown, groups: unknown = {}): AccessPolicy {
  const parsed = parseAccessRules({ value: access }, { value: groups });
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
  return new AccessPolicy(parsed.rules);
}

function repositoryNamed(text: string): RepositoryName {
  const name = parseRepositoryName(text);
  if (name === undefined) throw new Error(`${text} is no repository`);
  return name;
}

const names = ['alice', 'bob', 'ci'];
const repositories = ['a', 'a/b', 'a/b/c', 'ab', 'b/a', 'b'].map(repositoryNamed);
const globs = ['**', '*', 'a', 'a/*', 'a/**', '**/b', '*/a', 'a/b/c', 'b/**'];
/** The globs above, read by a regular expression each. */
const expressions: Readonly<Record<string, RegExp>> = {
  '**': /^.*$/,
  '*': /^[^/]*$/,
  a: /^a$/,
  'a/*': /^a\/[^/]*$/,
  'a/**': /^a(\/.*)?$/,
  '**/b': /^(.*\/)?b$/,
  '*/a': /^[^/]*\/a$/,
  'a/b/c': /^a\/b\/c$/,
  'b/**': /^b(\/.*)?$/,
};

interface WrittenRule {
  readonly who:
    | 'anonymous'
    | 'authenticated'
    | {
        readonly users?: readonly string[];
        readonly groups?: readonly string[];
        readonly robots?: readonly string[];
        readonly claims?: Readonly<Record<string, string>>;
      };
  readonly repositories: readonly string[];
  readonly actions: readonly Action[];
}

type Groups = Readonly<Record<string, readonly string[]>>;

const some = <T>(all: readonly T[]): fc.Arbitrary<T[]> => fc.subarray([...all], { minLength: 1 });

const harmless: readonly Action[] = ['pull', 'push', 'tag-overwrite', 'delete'];

const writtenRule: fc.Arbitrary<WrittenRule> = fc.oneof(
  fc.record({ who: fc.constant('anonymous' as const), repositories: some(globs), actions: some(harmless) }),
  fc.record({
    who: fc.oneof(
      fc.constant('authenticated' as const),
      fc
        .record(
          {
            users: some([...names, '*', 'i:*']),
            groups: some(['g', 'h', 'i:g', '*', 'certificate:*']),
            robots: some(names),
            claims: fc.oneof(
              fc.record({ iss: fc.constantFrom('1', '2'), x: fc.constantFrom('1', '2') }, { requiredKeys: ['iss'] }),
              fc.dictionary(fc.constantFrom('uri', 'email'), fc.constantFrom('1', '2'), { minKeys: 1 }),
            ),
          },
          { requiredKeys: [] },
        )
        .filter((who) => Object.keys(who).length > 0),
    ),
    repositories: some(globs),
    actions: some(actions),
  }),
);

const grants: fc.Arbitrary<readonly Grant[]> = fc.array(
  fc.record({ repo: fc.constantFrom(...repositories), actions: some(actions) }),
  { maxLength: 3 },
);

/** What an issuer says has that before it. */
function vouchedFor(who: Identity & { readonly issuer: string }): Identity {
  const { issuer, name, groups } = who;
  return { ...who, name: `${issuer}:${name}`, groups: groups.map((group) => `${issuer}:${group}`) };
}

const someOf = fc.subarray(['1', '2']);

/** Those whom the registry knows by itself, those whom an issuer knows, and those who show a certificate. */
const identity: fc.Arbitrary<Identity> = fc.oneof(
  fc.constant(anonymous),
  fc.constant(operator),
  fc.record(
    {
      kind: fc.constantFrom('user', 'robot'),
      name: fc.constantFrom(...names),
      groups: fc.constant([]),
      claims: fc.constant({}),
      grants,
    },
    { requiredKeys: ['kind', 'name', 'groups', 'claims'] },
  ),
  fc
    .record(
      {
        issuer: fc.constantFrom('i', 'j'),
        kind: fc.constantFrom('user', 'workload'),
        name: fc.constantFrom(...names),
        groups: fc.subarray(['g', 'h']),
        claims: fc.record({ iss: someOf, x: someOf, uri: someOf, email: someOf }),
        grants,
      },
      { requiredKeys: ['issuer', 'kind', 'name', 'groups', 'claims'] },
    )
    .map(vouchedFor),
  fc.record({
    kind: fc.constant('certificate' as const),
    name: fc.constantFrom(...names),
    groups: fc.subarray(['certificate:g', 'certificate:i:g']),
    claims: fc.record({ uri: someOf, email: someOf }),
  }),
);

const written = fc.record({
  rules: fc.array(writtenRule, { maxLength: 5 }),
  groups: fc.dictionary(fc.constantFrom('g', 'h'), some([...names, 'robot:ci', 'user:bob'])),
});

/** What the documentation says, as simply as it can be said. */
function isAllowedBy(
  rules: readonly WrittenRule[],
  groups: Groups,
  who: Identity,
  action: Action,
  repo: string,
): boolean {
  if (who.kind === 'operator') return true;
  const issued = who.grants === undefined || who.grants.some((grant) => isIn(grant, action, repo));
  return (
    issued &&
    rules.some(
      (rule) =>
        rule.actions.includes(action) &&
        rule.repositories.some((glob) => expressions[glob]?.test(repo)) &&
        isMeant(rule.who, groups, who),
    )
  );
}

function isIn(grant: Grant, action: Action, repo: string): boolean {
  if (grant.repo !== repo) return false;
  return grant.actions.includes(action) || (action === 'tag-overwrite' && grant.actions.includes('push'));
}

function isMeant(meant: WrittenRule['who'], groups: Groups, who: Identity): boolean {
  if (meant === 'anonymous') return true;
  if (meant === 'authenticated') return who.kind !== 'anonymous' && who.issuer === undefined;
  if (who.kind === 'user' && meant.users?.some((user) => isNamed(who.name, user))) return true;
  if (who.kind === 'robot' && meant.robots?.includes(who.name)) return true;
  const writings =
    who.kind === 'user' ? [who.name, `user:${who.name}`] : who.kind === 'robot' ? [`robot:${who.name}`] : [];
  const own = Object.keys(groups).filter((group) => writings.some((writing) => groups[group]?.includes(writing)));
  for (const group of meant.groups ?? []) {
    if ([...who.groups, ...own].some((one) => isNamed(one, group))) return true;
  }
  if (meant.claims === undefined) return false;
  if (meant.claims['iss'] === undefined && who.kind !== 'certificate') return false;
  return Object.entries(meant.claims).every(([claim, value]) => who.claims[claim]?.includes(value));
}

/** A star stands for what is behind the name of an issuer, never for that. */
function isNamed(name: string, glob: string): boolean {
  if (!glob.endsWith('*')) return name === glob;
  const start = glob.slice(0, -1);
  return start === '' ? !name.includes(':') : name.startsWith(start);
}

test('what a policy decides is what a reading of its rules, one by one, says', () => {
  fc.assert(
    fc.property(written, identity, ({ rules, groups }, who) => {
      const policy = policyOf(rules, groups);
      const rights = policy.rightsOf(who);
      for (const action of actions) {
        for (const repo of repositories) {
          const expected = isAllowedBy(rules, groups, who, action, repo);
          expect(policy.decide(who, action, repo).allowed).toBe(expected);
          expect(rights.may(action, repo)).toBe(expected);
        }
      }
    }),
    { numRuns: 500 },
  );
});

test('what a policy says of many repositories at once holds for each of them', () => {
  fc.assert(
    fc.property(written, identity, ({ rules, groups }, who) => {
      const rights = policyOf(rules, groups).rightsOf(who);
      for (const action of actions) {
        const allowed = repositories.filter((repo) => rights.may(action, repo));
        if (rights.mayEverywhere(action)) expect(allowed).toEqual(repositories);
        if (allowed.length > 0) expect(rights.maySomewhere(action)).toBe(true);
        const starts = rights.startsOf(action);
        for (const repo of allowed) expect(starts.some((start) => repo.startsWith(start))).toBe(true);
        // No repository is found by two of them, and they come in order.
        for (const repo of repositories) {
          expect(starts.filter((start) => repo.startsWith(start)).length).toBeLessThanOrEqual(1);
        }
        expect(starts).toEqual(starts.toSorted());
      }
    }),
    { numRuns: 500 },
  );
});

const user: Identity = { kind: 'user', name: 'alice', groups: [], claims: {} };
const app = repositoryNamed('team/app');

describe('a policy', () => {
  test('allows nobody anything but the operator where it has no rules', () => {
    const policy = policyOf([]);
    for (const action of actions) {
      for (const who of [anonymous, user]) expect(policy.rightsOf(who).may(action, app)).toBe(false);
      expect(policy.rightsOf(operator).mayEverywhere(action)).toBe(true);
    }
  });

  test('knows no rule that takes something away: they add up', () => {
    const policy = policyOf([
      { who: { users: 'alice' }, repositories: 'team/*', actions: 'pull' },
      { who: { users: 'alice' }, repositories: 'team/app', actions: 'push' },
    ]);
    expect(
      ['pull', 'push'].map((action) => policy.rightsOf(user).may(action === 'pull' ? 'pull' : 'push', app)),
    ).toEqual([true, true]);
  });

  test('does not take a robot, a workload or a certificate for the user of the same name', () => {
    const policy = policyOf([{ who: { users: 'alice' }, repositories: '**', actions: 'all' }]);
    for (const kind of ['robot', 'workload', 'certificate'] as const) {
      expect(policy.decide({ ...user, kind }, 'pull', app)).toEqual({ allowed: false, because: 'no-rule' });
    }
  });

  test('wants all claims of a rule, each by one of its values', () => {
    const policy = policyOf([
      {
        who: { claims: { iss: 'ci', repository: 'acme/*', ref: ['refs/heads/main', 'refs/tags/**'] } },
        repositories: '**',
        actions: 'push',
      },
    ]);
    const claims = { iss: ['ci'], repository: ['acme/app'], ref: ['refs/tags/v/1'] };
    const workload = (given: Identity['claims']): Identity => ({
      kind: 'workload',
      name: 'x',
      groups: [],
      claims: given,
    });
    expect(policy.decide(workload(claims), 'push', app).allowed).toBe(true);
    expect(policy.decide(workload({ ...claims, ref: ['refs/heads/other'] }), 'push', app).allowed).toBe(false);
    expect(policy.decide(workload({ iss: ['ci'], repository: ['acme/app'] }), 'push', app).allowed).toBe(false);
    expect(policy.decide(workload({ ...claims, repository: ['acme/app/more'] }), 'push', app).allowed).toBe(false);
  });

  test('means by authenticated nobody whom an issuer vouches for, but where its configuration says so', () => {
    const parsed = parseAccessRules(
      { value: [{ who: 'authenticated', repositories: '**', actions: 'pull' }] },
      undefined,
    );
    if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
    const policy = new AccessPolicy(parsed.rules, new Set(['corp']));
    const mayPull = (who: Identity): boolean => policy.rightsOf(who).may('pull', app);
    const claims = { iss: ['https://issuer.example.com'], repository: ['team/app'] };
    expect(mayPull({ kind: 'workload', name: 'github:repo:evil/x', groups: [], claims, issuer: 'github' })).toBe(false);
    expect(mayPull({ kind: 'user', name: 'google:eve', groups: [], claims, issuer: 'google' })).toBe(false);
    expect(mayPull({ kind: 'user', name: 'corp:alice', groups: [], claims, issuer: 'corp' })).toBe(true);
    for (const kind of ['user', 'robot', 'certificate'] as const) expect(mayPull({ ...user, kind })).toBe(true);
  });

  test('takes nothing that one issuer or certificate says for what another one says, or the configuration', () => {
    const all = { repositories: '**', actions: 'pull' };
    const rules = [
      { who: { groups: ['admins', '*'] }, ...all },
      { who: { users: '**' }, ...all },
      { who: { claims: { email: '**' } }, ...all },
      { who: { claims: { iss: 'https://corp.example.com', email: '**' } }, ...all },
    ];
    const meant = (who: Identity) =>
      policyOf(rules, { admins: ['alice'] })
        .rulesFor(who)
        .map(({ name }) => name);
    const outsider = { name: 'other:eve', groups: ['other:admins'], issuer: 'other' };
    const says = { iss: ['https://other.example.com'], email: ['eve@example.com'] };
    expect(meant({ kind: 'user', ...outsider, claims: says })).toEqual([]);
    expect(meant({ kind: 'workload', ...outsider, claims: says })).toEqual([]);
    const certificate = { kind: 'certificate', name: 'eve', groups: ['certificate:admins'] } as const;
    expect(meant({ ...certificate, claims: {} })).toEqual([]);
    expect(meant({ ...certificate, claims: { email: ['eve@example.com'] } })).toEqual(['access[2]']);
    expect(meant(user)).toEqual(['access[0]', 'access[1]']);
    // Not even by a token from before they had it before them.
    expect(meant({ ...certificate, groups: ['admins'], claims: {} })).toEqual([]);
  });

  test('says where the token is in the way, and not the rules', () => {
    const policy = policyOf([{ who: 'authenticated', repositories: 'team/**', actions: ['pull', 'push'] }]);
    const token: Identity = { ...user, grants: [{ repo: app, actions: ['pull'] }] };
    const rights = policy.rightsOf(token);
    expect([rights.may('pull', app), rights.may('push', app), rights.may('tag-overwrite', app)]).toEqual([
      true,
      false,
      false,
    ]);
    expect(rights.needsWiderToken('push', app)).toBe(true);
    expect(rights.needsWiderToken('delete', app)).toBe(false);
    expect(rights.startsOf('pull')).toEqual(['team/app']);
    expect([rights.maySomewhere('pull'), rights.maySomewhere('push')]).toEqual([true, false]);
    expect(rights.mayEverywhere('pull')).toBe(false);
  });
});

test('where nobody has to log in everybody may all but what is for operators', () => {
  expect(actions.filter((action) => openRights.may(action, app))).toEqual(['pull', 'push', 'tag-overwrite', 'delete']);
  expect(actions.filter((action) => openRights.mayEverywhere(action))).toEqual([
    'pull',
    'push',
    'tag-overwrite',
    'delete',
  ]);
});
