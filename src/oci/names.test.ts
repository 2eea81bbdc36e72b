import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { describeRepositoryNameProblem, describeTagNameProblem, parseRepositoryName, parseTagName } from './names.ts';

const alphanumerics = fc.string({ unit: fc.constantFrom(...'abcxyz0189'.split('')), minLength: 1, maxLength: 8 });
const separator = fc.oneof(
  fc.constantFrom('.', '_', '__', '/'),
  fc.integer({ min: 1, max: 5 }).map((length) => '-'.repeat(length)),
);
const repositoryName = fc
  .tuple(alphanumerics, fc.array(fc.tuple(separator, alphanumerics), { maxLength: 15 }))
  .map(([first, rest]) => first + rest.map((part) => part.join('')).join(''));

/** The grammar read by hand, a character at a time, to compare with. */
function isRepositoryNameByHand(text: string): boolean {
  return (
    text.length <= 255 &&
    text.split('/').every((component) => {
      const separators = component.split(/[a-z0-9]+/);
      const [before, after] = [separators.shift(), separators.pop()];
      return (
        before === '' &&
        after === '' &&
        separators.every((each) => ['.', '_', '__'].includes(each) || /^-+$/.test(each))
      );
    })
  );
}

describe('a repository name', () => {
  test('is read whatever valid components it is made of', () => {
    fc.assert(
      fc.property(repositoryName, (name) => {
        expect(String(parseRepositoryName(name))).toBe(name);
      }),
    );
  });

  test('follows the grammar in texts of the characters that the grammar knows', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'aaab0._-/A:'.split('')), maxLength: 14 }), (text) => {
        expect(parseRepositoryName(text) !== undefined).toBe(isRepositoryNameByHand(text));
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ['', 'it is empty'],
    ['Library/ubuntu', 'letters must be lower-case'],
    ['library/ubuntu:22.04', '":" is not allowed'],
    ['library/ubun tu', '" " is not allowed'],
    ['library/😀', '"😀" is not allowed'],
    ['library\n', '"\\n" is not allowed'],
    ['/library', 'a slash must stand between two components'],
    ['library/', 'a slash must stand between two components'],
    ['library//ubuntu', 'a slash must stand between two components'],
    ['..', 'each component must begin and end'],
    ['a/../b', 'each component must begin and end'],
    ['a..b', 'each component must begin and end'],
    ['a___b', 'each component must begin and end'],
    ['a._b', 'each component must begin and end'],
    ['-a', 'each component must begin and end'],
    ['a_', 'each component must begin and end'],
    ['a/_catalog', 'each component must begin and end'],
    ['a'.repeat(256), 'it has 256 characters'],
  ])('is not read from %j, and the message says why', (text, expected) => {
    expect(parseRepositoryName(text)).toBeUndefined();
    expect(describeRepositoryNameProblem(text)).toContain(expected);
    expect(describeRepositoryNameProblem(text)).toContain('[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*');
  });

  test('may have 255 characters', () => {
    expect(parseRepositoryName('a'.repeat(255))).toBeDefined();
  });

  test('is decided quickly however the text is made', () => {
    const adversarial = fc
      .tuple(
        fc.constantFrom('a', 'a-', 'a--', 'a_', 'a__', 'a.', 'a/', '-', 'a-a_a', '0/a.'),
        fc.constantFrom('', '!', '-', '/', 'A', '\n'),
      )
      .chain(([unit, end]) =>
        fc.constantFrom(120, 255, 100_000).map((length) => unit.repeat(length).slice(0, length - 1) + end),
      );
    fc.assert(
      fc.property(adversarial, (text) => {
        const before = performance.now();
        for (let repeat = 0; repeat < 20; repeat++) parseRepositoryName(text);
        describeRepositoryNameProblem(text);
        // A matcher that tries all ways to divide such a text would need longer than the universe has.
        expect(performance.now() - before).toBeLessThan(5000);
      }),
    );
  });
});

describe('a tag', () => {
  test('is read as the grammar says, and nothing else is', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: fc.constantFrom(...'aZ0_.-:/ \n'.split('')), maxLength: 6 }),
          fc.string({ maxLength: 140 }),
        ),
        (text) => {
          const allowed = text.split('').every((character) => /[a-zA-Z0-9._-]/.test(character));
          const expected =
            allowed && text.length >= 1 && text.length <= 128 && !text.startsWith('.') && !text.startsWith('-');
          expect<string | undefined>(parseTagName(text)).toBe(expected ? text : undefined);
        },
      ),
      { numRuns: 1000 },
    );
  });

  test.each([
    ['', 'it is empty'],
    ['.hidden', 'must not begin with "."'],
    ['-dash', 'must not begin with "-"'],
    ['v1 beta', '" " is not allowed'],
    ['v1\n', '"\\n" is not allowed'],
    ['a/b', '"/" is not allowed'],
    ['ä', '"ä" is not allowed'],
    ['v'.repeat(129), 'it has 129 characters'],
  ])('is not read from %j, and the message says why', (text, expected) => {
    expect(parseTagName(text)).toBeUndefined();
    expect(describeTagNameProblem(text)).toContain(expected);
    expect(describeTagNameProblem(text)).toContain('[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}');
  });

  test('may have 128 characters and begin with an underscore', () => {
    expect(parseTagName('v'.repeat(128))).toBeDefined();
    expect(parseTagName('_v')).toBeDefined();
  });
});

test('the message about a name that is refused is one short line, whatever was sent', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.string({ minLength: 200, maxLength: 5000 })), (text) => {
      for (const message of [describeRepositoryNameProblem(text), describeTagNameProblem(text)]) {
        expect(message).not.toMatch(/\p{Cc}/u);
        expect(message.length).toBeLessThan(5000);
      }
      expect(describeRepositoryNameProblem(text).endsWith('is a valid repository name')).toBe(
        parseRepositoryName(text) !== undefined,
      );
      expect(describeTagNameProblem(text).endsWith('is a valid tag')).toBe(parseTagName(text) !== undefined);
    }),
  );
});
