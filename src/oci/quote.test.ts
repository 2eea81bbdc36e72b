import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { quote } from './quote.ts';

test('a quoted text stays one line that shows what was sent', () => {
  expect(quote('library/ubuntu')).toBe('"library/ubuntu"');
  expect(quote('a\nb\u001b[31m')).toBe('"a\\nb\\u001b[31m"');
  expect(quote('\u007f\u009b\u2028\u202e')).toBe('"\\u007f\\u009b\\u2028\\u202e"');
});

test('a long text is cut, and the quote shows that it was', () => {
  expect(quote('x'.repeat(100))).toBe(`"${'x'.repeat(100)}"`);
  expect(quote('x'.repeat(1_000_000))).toBe(`"${'x'.repeat(100)}"…`);
});

test('a quote is short and printable, and that of a short text can be read back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      const quoted = quote(text);
      expect(quoted).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
      expect(quoted.length).toBeLessThan(700);
      if (text.length <= 100) expect(JSON.parse(quoted)).toBe(text);
    }),
  );
});
