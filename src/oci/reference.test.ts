import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { parseReference } from './reference.ts';

const digest = `sha256:${'0'.repeat(64)}`;

test('a reference without a colon is a tag', () => {
  expect(parseReference('v1.2')).toMatchObject({ ok: true, reference: { kind: 'tag', tag: 'v1.2' } });
  // What looks like a digest's hash is a tag all the same.
  expect(parseReference('0'.repeat(64))).toMatchObject({ ok: true, reference: { kind: 'tag' } });
});

test('a reference with a colon is a digest', () => {
  expect(parseReference(digest)).toMatchObject({ ok: true, reference: { kind: 'digest', digest } });
});

test('a malformed digest is DIGEST_INVALID with the reason', () => {
  expect(parseReference('sha256:abc')).toEqual({
    ok: false,
    code: 'DIGEST_INVALID',
    message: '"sha256:abc" is not a digest: a sha256 digest has 64 hexadecimal digits, this one has 3',
  });
  expect(parseReference('v1:2')).toMatchObject({ ok: false, code: 'DIGEST_INVALID' });
});

test('a malformed tag is MANIFEST_INVALID with the grammar', () => {
  expect(parseReference('.v1')).toEqual({
    ok: false,
    code: 'MANIFEST_INVALID',
    message: '".v1" is not a tag: it must not begin with "."; tags match [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}',
  });
});

test('every text is either a reference that reads as it was written or a refusal with a message', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.string()), (text) => {
      const parsed = parseReference(text);
      if (!parsed.ok) expect(parsed.message).not.toBe('');
      else expect<string>(parsed.reference.kind === 'tag' ? parsed.reference.tag : parsed.reference.digest).toBe(text);
    }),
  );
});
