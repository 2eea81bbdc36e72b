import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { parseRepositoryName } from '../../oci/names.ts';
import { allowedOf, grantedBy, mostScopes, parseScopes, scopeText, tokenActions } from './scope.ts';

function entriesOf(...texts: string[]) {
  return allowedOf(parseScopes(texts) ?? [], () => true);
}

describe('a scope', () => {
  test('asks for some actions in a repository', () => {
    expect(entriesOf('repository:team/app:pull,push')).toEqual([
      { type: 'repository', name: 'team/app', actions: ['pull', 'push'] },
    ]);
  });

  test('with a star asks for all that there are words for', () => {
    expect(entriesOf('repository:app:*')).toEqual([
      { type: 'repository', name: 'app', actions: ['pull', 'push', 'delete'] },
    ]);
  });

  test('of the catalog is granted to everybody: the list shows what each may pull', () => {
    expect(allowedOf(parseScopes(['registry:catalog:*']) ?? [], () => false)).toEqual([
      { type: 'registry', name: 'catalog', actions: ['*'] },
    ]);
  });

  test('can be one of several, in a parameter or in several of them', () => {
    const expected = entriesOf('repository:a:pull', 'repository:b:push');
    expect(expected).toHaveLength(2);
    expect(entriesOf('repository:a:pull repository:b:push')).toEqual(expected);
  });

  test('for a repository that another has asked for already adds to it', () => {
    expect(entriesOf('repository:a:pull', 'repository:a:delete')).toEqual([
      { type: 'repository', name: 'a', actions: ['pull', 'delete'] },
    ]);
  });

  test.each([
    '',
    ':',
    '::',
    'repository',
    'repository:app',
    'repository:UPPER:pull',
    'repository:../etc:pull',
    'plugin:app:pull',
    'repository(plugin):app:pull',
    'repository:host:5000/app:pull',
    'registry:other:*',
    'repository:app:fly',
  ])('that means nothing here (%p) is left out', (text) => {
    expect(entriesOf(text)).toEqual([]);
  });

  test('is one of a hundred at most', () => {
    expect(parseScopes(Array<string>(mostScopes).fill('repository:a:pull'))).toBeDefined();
    expect(parseScopes(Array<string>(mostScopes + 1).fill('repository:a:pull'))).toBeUndefined();
  });
});

test('whatever is asked for, no more is granted than was asked for and is allowed', () => {
  const name = fc.constantFrom('a', 'b', 'team/a', 'team/b');
  const action = fc.constantFrom<string>('pull', 'push', 'delete', '*', 'fly', '');
  const scope = fc.tuple(name, fc.array(action)).map(([repo, actions]) => ({ repo, actions }));
  const right = fc.tuple(name, fc.constantFrom(...tokenActions)).map(([repo, one]) => `${repo} ${one}`);
  fc.assert(
    fc.property(fc.array(scope), fc.array(right), (asked, rights) => {
      const texts = asked.map(({ repo, actions }) => `repository:${repo}:${actions.join(',')}`);
      const allowed = allowedOf(parseScopes(texts) ?? [], (one, repo) => rights.includes(`${repo} ${one}`));
      for (const { repo, actions } of grantedBy(allowed).grants) {
        for (const one of actions) {
          expect(rights).toContain(`${repo} ${one}`);
          expect(
            asked.some((each) => each.repo === repo && (each.actions.includes(one) || each.actions.includes('*'))),
          ).toBe(true);
        }
      }
      // And no less.
      for (const { repo, actions } of asked) {
        for (const one of tokenActions) {
          if (!actions.includes(one) || !rights.includes(`${repo} ${one}`)) continue;
          expect(allowed.find((entry) => entry.name === repo)?.actions).toContain(one);
        }
      }
    }),
  );
});

test('what a token says is read as it was written, and a star is no more than the protocol has words for', () => {
  expect(grantedBy(entriesOf('repository:a:pull registry:catalog:*'))).toEqual({
    grants: [{ repo: nameOf('a'), actions: ['pull'] }],
    seesCatalog: true,
  });
  expect(grantedBy([{ type: 'repository', name: 'a', actions: ['*'] }]).grants).toEqual([
    { repo: nameOf('a'), actions: ['pull', 'push', 'delete'] },
  ]);
  expect(grantedBy([{ type: 'repository', name: 'NO', actions: ['pull'] }]).grants).toEqual([]);
});

test('a challenge asks for pulling where something is to be pushed', () => {
  expect(scopeText(nameOf('team/app'), 'push')).toBe('repository:team/app:pull,push');
  expect(scopeText(nameOf('team/app'), 'delete')).toBe('repository:team/app:delete');
});

function nameOf(text: string) {
  const parsed = parseRepositoryName(text);
  if (parsed === undefined) throw new Error(`${text} is no name`);
  return parsed;
}
