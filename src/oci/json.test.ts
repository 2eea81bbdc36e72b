import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { isStringRecord, parseJsonObject } from './json.ts';

const encoder = new TextEncoder();

test.each(['', 'null', '7', '"text"', '[]', '[{}]', '{', '{"a":1,}', '{}{}', "{'a':1}", '\ufeff{}'])(
  'a body of %j is no JSON object',
  (text) => {
    expect(parseJsonObject(encoder.encode(text)).ok).toBe(false);
  },
);

test('a body that is not UTF-8 is refused', () => {
  const bytes = encoder.encode('{"a":"_"}');
  bytes[6] = 0xff;
  expect(parseJsonObject(bytes)).toEqual({ ok: false, message: 'it is not UTF-8' });
});

test('of a field that is given twice the last counts, as clients read it', () => {
  expect(parseJsonObject(encoder.encode('{"a":1,"a":2}'))).toEqual({ ok: true, object: { a: 2 } });
});

test.each([100, 10_000, 1_000_000])('a body nested %d deep is read or refused, without an exception', (depth) => {
  const text = `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`;
  expect(typeof parseJsonObject(encoder.encode(text)).ok).toBe('boolean');
  expect(parseJsonObject(encoder.encode(text.slice(0, -1))).ok).toBe(false);
});

test('the reason why a body cannot be read is short, however long the body', () => {
  const parsed = parseJsonObject(encoder.encode(`{"a":${'x'.repeat(1_000_000)}`));
  expect(parsed.ok ? '' : parsed.message.length).toBeLessThan(300);
});

test('what is read is what was written, and any bytes are read or refused', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.uint8Array(), (object, bytes) => {
      const parsed = parseJsonObject(encoder.encode(JSON.stringify(object)));
      expect(parsed.ok && JSON.stringify(parsed.object)).toBe(JSON.stringify(object));
      expect(typeof parseJsonObject(bytes).ok).toBe('boolean');
    }),
  );
});

test('a record of strings has nothing else in it', () => {
  expect(isStringRecord({})).toBe(true);
  expect(isStringRecord({ a: 'b' })).toBe(true);
  expect(isStringRecord({ a: 'b', c: null })).toBe(false);
  expect(isStringRecord(['a'])).toBe(false);
  expect(isStringRecord(null)).toBe(false);
});
