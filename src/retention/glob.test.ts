import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { Glob } from './glob.ts';

function glob(source: string): Glob {
  const parsed = Glob.parse(source);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.glob;
}

test.each([
  ['latest', 'latest', true],
  ['latest', 'Latest', false],
  ['latest', 'latest2', false],
  ['v*', 'v', true],
  ['v*', 'v1.2.3', true],
  ['v*', 'rev1', false],
  ['*-rc*', 'v1-rc', true],
  ['*-rc*', 'v1-rc.2', true],
  ['v?', 'v1', true],
  ['v?', 'v', false],
  ['v?', 'v12', false],
  ['v.*', 'vx1', false],
  ['team/*', 'team/app', true],
  ['team/*', 'team/app/web', false],
  ['team/*', 'team', false],
  ['te*m/app', 'te/m/app', false],
  ['a?b', 'a/b', false],
  ['team/**', 'team/app', true],
  ['team/**', 'team/app/web', true],
  ['team/**', 'team', true],
  ['team/**', 'teams', false],
  ['**/web', 'web', true],
  ['**/web', 'a/b/web', true],
  ['**/web', 'a/b/cobweb', false],
  ['a/**/b', 'a/b', true],
  ['a/**/b', 'a/x/y/b', true],
  ['a/**/b', 'ab', false],
  ['a/**/**/b', 'a/b', true],
  ['**', 'anything/at/all', true],
  ['**', '', true],
  ['*', 'a/b', false],
  ['team**', 'teams/of/two', true],
  ['**team', 'a/steam', true],
  ['***', 'a/b', true],
])('the glob %s, on %j: %p', (source, text, isMatch) => {
  expect(glob(source).matches(text)).toBe(isMatch);
});

test.each([
  ['', 'this is empty'],
  ['a'.repeat(513), 'this is longer than 512 characters'],
])('the glob %j is refused', (source, problem) => {
  expect(Glob.parse(source)).toEqual({ ok: false, problem });
});

test.each([
  ['**', 'a/b', true],
  ['**', 'a/**/b', true],
  ['*', 'v*', true],
  ['v*', '*', false],
  ['v*', 'v*-rc?', true],
  ['v*', 'v1', true],
  ['*', '**', false],
  ['*', '?', true],
  ['?', '*', false],
  ['team/**', 'team/a/*', true],
  ['team/**', 'team', true],
  ['team/**', 'team/**', true],
  ['team/**', '**/team', false],
  ['team/*', 'team/**', false],
  ['team/*', 'team/a', true],
  ['*/*', 'team/*', true],
  ['**/web', 'a/**/web', true],
])('the glob %s covers %s: %p', (one, other, isCovered) => {
  expect(glob(one).covers(glob(other))).toBe(isCovered);
});

const globs = fc
  .array(fc.constantFrom('a', 'b', '/', '*', '**', '?', '/**/', '**/'), { minLength: 1, maxLength: 6 })
  .map((parts) => parts.join(''));
const texts = fc.array(fc.constantFrom('a', 'b', '/'), { maxLength: 7 }).map((parts) => parts.join(''));

/** The same rules as a regular expression of the runtime, which goes back and forth but is right. */
function asRegExp(source: string): RegExp {
  const components = source.split('/').filter((one, index, all) => one !== '**' || all[index - 1] !== '**');
  if (components.length === 1 && components[0] === '**') return /^.*$/s;
  const parts = components.map((component, index) => {
    const isLast = index === components.length - 1;
    if (component === '**') return isLast ? '(?:/.*)?' : '(?:.*/)?';
    const inside = component.replaceAll(
      /\*\*|\*|\?/g,
      (wildcard) => ({ '**': '.*', '*': '[^/]*', '?': '[^/]' })[wildcard] ?? '',
    );
    const isSlashTaken = index === components.length - 2 && components[index + 1] === '**';
    return isLast || isSlashTaken ? inside : `${inside}/`;
  });
  return new RegExp(`^${parts.join('')}$`, 's');
}

test('a glob matches what the regular expression of the same meaning matches', () => {
  fc.assert(
    fc.property(globs, texts, (source, text) => {
      expect([source, text, glob(source).matches(text)]).toEqual([source, text, asRegExp(source).test(text)]);
    }),
    { numRuns: 3000 },
  );
});

test('a glob that covers another matches all that the other matches', () => {
  let looked = 0;
  fc.assert(
    fc.property(globs, globs, texts, (one, other, text) => {
      if (!glob(one).covers(glob(other)) || !glob(other).matches(text)) return;
      looked += 1;
      expect([one, other, text, glob(one).matches(text)]).toEqual([one, other, text, true]);
    }),
    { numRuns: 30_000 },
  );
  expect(looked).toBeGreaterThan(20);
});

test('a glob covers itself', () => {
  fc.assert(
    fc.property(globs, (source) => {
      expect([source, glob(source).covers(glob(source))]).toEqual([source, true]);
    }),
  );
});

test('many wildcards take no longer than their number times the length of the text', () => {
  const started = performance.now();
  expect(glob('*a'.repeat(60) + 'b').matches('a'.repeat(128))).toBe(false);
  expect(glob('**a'.repeat(60) + 'b').matches('a'.repeat(255))).toBe(false);
  expect(performance.now() - started).toBeLessThan(5000);
});
