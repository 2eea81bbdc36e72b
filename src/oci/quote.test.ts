import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { printable, printableJson, printableLines, quote } from './quote.ts';

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

test('lines keep their ends, and nothing else that a terminal acts upon', () => {
  expect(printableLines('a\nb\u001b[2J\r\u009b\u202e\n')).toBe('a\nb\\u001b[2J\\u000d\\u009b\\u202e\n');
  expect(printable('a\nb')).toBe('a\\u000ab');
});

test('JSON that is printable means the same', () => {
  fc.assert(
    fc.property(fc.json(), (json) => {
      const shown = printableJson(json);
      expect(JSON.parse(shown)).toEqual(JSON.parse(json));
    }),
  );
  expect(printableJson(JSON.stringify({ a: '\u001b\u009b\u007f\u2028\u202e' }))).toBe(
    String.raw`{"a":"\u001b\u009b\u007f\u2028\u202e"}`,
  );
});
