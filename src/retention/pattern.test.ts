import { expect, test } from 'bun:test';
import { matchesNoTag } from './no-tag.ts';
import { Expression, parsePattern, parseRepositoryGlob, parseTagPattern, type Pattern } from './pattern.ts';

function pattern(source: string): Pattern {
  const parsed = parsePattern(source);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.pattern;
}

test.each([
  ['/v\\d+/', 'v12', true],
  ['/v\\d+/', 'rev12', false],
  ['/v\\d+/', 'v12-rc', false],
  ['/a|ab/', 'ab', true],
  ['/^v1$/', 'v1', true],
  ['/(?i)latest/', 'LATEST', true],
  ['/.*-prod/', 'eu-prod', true],
  ['//', '//', true],
])('the pattern %s, on %j: %p', (source, text, isMatch) => {
  expect(pattern(source).matches(text)).toBe(isMatch);
});

test.each([
  ['/(/', 'this is not a regular expression of RE2: error parsing regexp: missing closing ): `(`'],
  [
    '/a(?=b)/',
    'this is not a regular expression of RE2: error parsing regexp: invalid or unsupported Perl syntax: `(?=`',
  ],
  ['/(a)\\1/', 'this is not a regular expression of RE2: error parsing regexp: invalid escape sequence: `\\1`'],
  [`/${'a'.repeat(513)}/`, 'this is longer than 512 characters'],
  ['/(?:.?){1000}/', 'this would take long on every name; repeat less in it'],
  ['v[0-9]', 'no tag has "[" in it; a regular expression stands between slashes, as in /v\\d+/'],
  ['{latest,v*}', 'no tag has "{" in it; write each pattern by itself, as a list'],
  ['!latest', 'no tag has "!" in it; name what is not meant under exclude'],
  ['team/v1', 'no tag has "/" in it; a regular expression stands between slashes, as in /v\\d+/'],
  ['', 'this is empty'],
])('the pattern for tags %j is refused', (source, problem) => {
  expect(parseTagPattern(source)).toEqual({ ok: false, problem });
});

test.each([
  ['Team/**', 'no repository has "T" in it'],
  ['{a,b}/**', 'no repository has "{" in it; write each name or glob by itself, as a list'],
  ['/team/.*/', 'repositories are named by globs, not by regular expressions'],
  ['team/', 'no repository begins or ends with a slash'],
  ['', 'this is empty'],
])('the glob for repositories %j is refused', (source, problem) => {
  expect(parseRepositoryGlob(source)).toEqual({ ok: false, problem });
});

test('the first group of an expression is what it matched, or undefined where there is none', () => {
  const groupOf = (source: string, text: string): string | undefined => {
    const parsed = pattern(source);
    return parsed instanceof Expression ? parsed.group(text) : undefined;
  };
  expect(groupOf('/(.+)-\\d+/', 'main-12')).toBe('main');
  expect(groupOf('/(?P<branch>.+)-(\\d+)/', 'main-12')).toBe('main');
  expect(groupOf('/(.+)-\\d+/', 'latest')).toBeUndefined();
  expect(groupOf('/(a)?b/', 'b')).toBeUndefined();
});

test('an expression that makes others go back and forth takes no time', () => {
  const started = performance.now();
  expect(pattern('/(x+x+)+y/').matches('x'.repeat(128))).toBe(false);
  expect(pattern('/(.*a){30}b/').matches('a'.repeat(128))).toBe(false);
  expect(pattern('/(?:.?){128}/').matches('a'.repeat(128))).toBe(true);
  expect(performance.now() - started).toBeLessThan(5000);
});

test.each([
  ['/v1:.*/', true],
  ['/team/app/', true],
  ['/a\\+b/', true],
  ['/v1/?/', false],
  ['/v1:*/', false],
  ['/v1:{0,1}/', false],
  ['/v1:{1,2}/', true],
  ['/[:/]+/', false],
  ['/[]:]/', false],
  ['/[[:alpha:]]/', false],
  ['/[a\\]:]x/', false],
  ['/a:|b/', false],
  ['/(a:)?b/', false],
  ['/\\d+\\.x/', false],
  ['/\\x41/', false],
  ['v*', false],
])('that %s matches no tag is certain: %p', (source, isCertain) => {
  expect(matchesNoTag(pattern(source))).toBe(isCertain);
});
