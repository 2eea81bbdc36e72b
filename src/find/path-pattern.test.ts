import { describe, expect, test } from 'bun:test';
import { PathPattern } from './path-pattern.ts';

function matches(text: string, path: string, ignoresCase = false): boolean {
  const parsed = PathPattern.parse(text, { ignoresCase });
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.pattern.matches(path);
}

describe('a pattern without a slash is for the last component of a path', () => {
  test.each([
    ['id_rsa', 'root/.ssh/id_rsa', true],
    ['id_rsa', 'id_rsa', true],
    ['id_rsa', 'root/id_rsa/x', false],
    ['id_rsa', 'root/my_id_rsa', false],
    ['.env', 'app/.env', true],
    ['.env*', 'app/.env.local', true],
    ['*.env', 'app/.env', true],
    ['*', '.hidden', true],
    ['*.{pem,key}', 'etc/ssl/private/site.key', true],
    ['id_[re]*', 'x/id_ed25519', true],
    ['id_[!re]*', 'x/id_ed25519', false],
    ['id_?sa', 'x/id_dsa', true],
    [String.raw`\*`, 'x/*', true],
    [String.raw`\*`, 'x/y', false],
    ['caf?', 'x/café', true],
    ['ID_RSA', 'x/id_rsa', false],
  ])('%s, %s: %p', (text, path, isMatched) => {
    expect(matches(text, path)).toBe(isMatched);
  });
});

describe('a pattern with a slash is for the whole path', () => {
  test.each([
    ['**/.env', '.env', true],
    ['**/.env', 'a/b/.env', true],
    ['**/.ssh/*', 'home/u/.ssh/id_rsa', true],
    ['home/*/.ssh/*', 'home/u/.ssh/id_rsa', true],
    ['home/*/.ssh/*', 'home/u/v/.ssh/id_rsa', false],
    ['home/*/.ssh/*', 'mnt/home/u/.ssh/id_rsa', false],
    ['/etc/shadow', 'etc/shadow', true],
    ['./etc/shadow', 'etc/shadow', true],
    ['etc/shadow', 'a/etc/shadow', false],
    ['/id_rsa', 'root/id_rsa', true],
    ['secrets/', 'app/secrets', true],
    ['{root,home/*}/.npmrc', 'home/u/.npmrc', true],
  ])('%s, %s: %p', (text, path, isMatched) => {
    expect(matches(text, path)).toBe(isMatched);
  });
});

test('upper and lower case are the same where that is asked for', () => {
  expect(matches('Id_RSA', 'x/ID_rsa', true)).toBe(true);
  expect(matches('**/SECRETS.{YML,yaml}', 'x/secrets.yml', true)).toBe(true);
});

test.each([
  ['', 'this is empty'],
  ['./', 'this is empty'],
  ['a[b', String.raw`a [ has no ]; write \[ for a name with one`],
  ['{a,b', String.raw`a { has no }; write \{ for a name with one`],
  ['a}', String.raw`a } has no {; write \} for a name with one`],
  ['a\\', 'it ends with a backslash, which needs something to follow it'],
  ['!a', String.raw`this would be everything but what follows the !; write \! for a name with one`],
  ['{'.repeat(11) + '}'.repeat(11), 'more than 10 braces within each other'],
  ['a'.repeat(513), 'this is longer than 512 characters'],
])('%j is refused: %s', (text, problem) => {
  expect(PathPattern.parse(text, { ignoresCase: false })).toEqual({ ok: false, problem });
});

test('no name makes matching take long', () => {
  const startedAt = performance.now();
  for (const text of ['**/*a*b', '**/*secret*x', '**/*a*a*a*a*c/**/b', '{**/*a*b,**/*a*c}', '**/{*a,*b}*/{*a,*b}*/c']) {
    for (const path of ['a/'.repeat(2048), 'a'.repeat(4096), 'secre'.repeat(800), 'ab/'.repeat(1300)])
      matches(text, path);
  }
  // It takes some ms; going back and forth would take hours.
  expect(performance.now() - startedAt).toBeLessThan(5000);
});
