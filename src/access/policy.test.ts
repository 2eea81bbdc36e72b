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
            users: some(names),
            groups: some(['g', 'h']),
            robots: some(names),
            claims: fc.dictionary(fc.constantFrom('x', 'y'), fc.constantFrom('1', '2'), { minKeys: 1 }),
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

const identity: fc.Arbitrary<Identity> = fc.oneof(
  fc.constant(anonymous),
  fc.constant(operator),
  fc.record(
    {
      kind: fc.constantFrom('user', 'robot', 'workload', 'certificate'),
      name: fc.constantFrom(...names),
      groups: fc.subarray(['g', 'h']),
      claims: fc.dictionary(fc.constantFrom('x', 'y'), fc.subarray(['1', '2'])),
      grants,
    },
    { requiredKeys: ['kind', 'name', 'groups', 'claims'] },
  ),
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
  if (meant === 'authenticated') return who.kind !== 'anonymous';
  if (who.kind === 'user' && meant.users?.includes(who.name)) return true;
  if (who.kind === 'robot' && meant.robots?.includes(who.name)) return true;
  const writings =
    who.kind === 'user' ? [who.name, `user:${who.name}`] : who.kind === 'robot' ? [`robot:${who.name}`] : [];
  for (const group of meant.groups ?? []) {
    if (who.groups.includes(group)) return true;
    if (writings.some((writing) => groups[group]?.includes(writing))) return true;
  }
  if (meant.claims === undefined) return false;
  return Object.entries(meant.claims).every(([claim, value]) => who.claims[claim]?.includes(value));
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
        who: { claims: { repository: 'acme/*', ref: ['refs/heads/main', 'refs/tags/**'] } },
        repositories: '**',
        actions: 'push',
      },
    ]);
    const claims = { repository: ['acme/app'], ref: ['refs/tags/v/1'] };
    const workload = (given: Identity['claims']): Identity => ({
      kind: 'workload',
      name: 'x',
      groups: [],
      claims: given,
    });
    expect(policy.decide(workload(claims), 'push', app).allowed).toBe(true);
    expect(policy.decide(workload({ ...claims, ref: ['refs/heads/other'] }), 'push', app).allowed).toBe(false);
    expect(policy.decide(workload({ repository: ['acme/app'] }), 'push', app).allowed).toBe(false);
    expect(policy.decide(workload({ ...claims, repository: ['acme/app/more'] }), 'push', app).allowed).toBe(false);
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
