import { describe, expect, test } from 'bun:test';
import { IssuerSet } from './issuer-set.ts';

const github = { name: 'github', kind: 'workload', issuer: 'https://ci.example.com', audience: 'wherry' };
const service = {
  name: 'auth',
  kind: 'tokens',
  issuer: 'Example',
  realm: 'https://auth.example.com/token',
  service: 'wherry',
  keys: 'keys.json',
};

function problemsOf(...issuers: object[]): readonly string[] {
  const parsed = IssuerSet.parse(issuers);
  return parsed.ok ? [] : parsed.problems;
}

test('an issuer has its keys by discovery, and its names by the subject, unless it says otherwise', () => {
  const parsed = IssuerSet.parse([
    github,
    { ...github, name: 'corp', kind: 'user', issuer: 'https://corp.example.com' },
  ]);
  expect(parsed.ok ? parsed.set.issuers : []).toMatchObject([
    { keys: { kind: 'discovery' }, nameFrom: 'sub', groupsFrom: undefined, audience: ['wherry'], sessionMs: 0 },
    { kind: 'user', sessionMs: 12 * 3_600_000 },
  ]);
});

describe('an issuer is refused', () => {
  test.each([
    [
      { ...github, issuer: 'http://ci.example.com' },
      'issuers[0].issuer cannot be asked for its keys: only https:// is safe',
    ],
    [{ ...github, issuer: 'ci' }, 'issuers[0].issuer cannot be asked for its keys: this is not a URL'],
    [{ ...github, keys: 'http://10.0.0.1/jwks' }, 'only https:// is safe'],
    [{ ...github, keys: 'file:///etc/passwd' }, 'only https:// is safe'],
    [{ ...github, keys: 'https://user:pw@ci.example.com/jwks' }, 'has no user and password'],
    [{ ...github, audience: undefined }, 'issuers[0].audience is missing'],
    [{ ...github, session: '1h' }, 'issuers[0].session is for people'],
    [{ ...github, realm: 'https://x.example.com' }, 'issuers[0].realm is not for an issuer of the kind workload'],
    [{ ...github, kind: 'robot' }, 'issuers[0].kind cannot be "robot"'],
    [{ ...github, name: 'user' }, 'this word means something else here'],
    [{ ...github, name: 'a:b' }, 'lower-case letters, digits and dashes'],
    [{ ...github, audiense: 'x' }, 'issuers[0].audiense is not a setting (did you mean audience?)'],
    [{ ...service, keys: undefined }, 'issuers[0].keys is missing'],
    [{ ...service, realm: undefined }, 'issuers[0].realm is missing'],
    [{ ...service, realm: 'http://auth.example.com/token' }, 'only https:// is safe'],
    [{ ...service, audience: 'x' }, 'issuers[0].audience is not for an issuer of the kind tokens'],
  ])('%j: %s', (issuer, problem) => {
    expect(problemsOf(issuer).join('\n')).toContain(problem);
  });

  test('whose name or issuer another has', () => {
    expect(problemsOf(github, github)).toHaveLength(2);
    expect(problemsOf(service, { ...service, name: 'other', issuer: 'Other' }).join()).toContain(
      'clients can be sent to one only',
    );
  });
});

test('http:// is for this machine alone', () => {
  for (const host of ['127.0.0.1:80', 'localhost', '[::1]:80']) {
    expect(problemsOf({ ...github, issuer: `http://${host}` })).toEqual([]);
  }
  for (const host of ['127.0.0.1.example.com', 'localhost.example.com', '10.0.0.1', '[::2]']) {
    expect(problemsOf({ ...github, issuer: `http://${host}` })).toHaveLength(1);
  }
});
