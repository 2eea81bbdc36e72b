import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import {
  algorithmOf,
  describeDigestProblem,
  DigestHasher,
  digestOf,
  isDigestAlgorithm,
  parseDigest,
} from './digest.ts';

const encoder = new TextEncoder();
const emptySha256 = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const abcSha512 =
  'sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f';
const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'.split('')), minLength: length, maxLength: length });

describe('a digest', () => {
  test('is computed as the published test vectors say', () => {
    expect(String(digestOf('sha256', new Uint8Array()))).toBe(emptySha256);
    expect(String(digestOf('sha512', encoder.encode('abc')))).toBe(abcSha512);
  });

  test('is read back as it was written, with its algorithm', () => {
    fc.assert(
      fc.property(hex(64), hex(128), (short, long) => {
        const sha256 = parseDigest(`sha256:${short}`);
        const sha512 = parseDigest(`sha512:${long}`);
        expect(String(sha256)).toBe(`sha256:${short}`);
        expect(String(sha512)).toBe(`sha512:${long}`);
        expect(sha256 && algorithmOf(sha256)).toBe('sha256');
        expect(sha512 && algorithmOf(sha512)).toBe('sha512');
      }),
    );
  });

  test.each([
    '',
    ':',
    'sha256',
    'sha256:',
    emptySha256.slice(0, -1),
    `${emptySha256}0`,
    `${emptySha256}\n`,
    ` ${emptySha256}`,
    emptySha256.toUpperCase(),
    emptySha256.replace('e3b0', 'E3B0'),
    emptySha256.replace('e3b0', 'g3b0'),
    emptySha256.replace('sha256', 'sha512'),
    abcSha512.replace('sha512', 'sha256'),
    emptySha256.replace('sha256', 'md5'),
    `sha256:../../${'0'.repeat(58)}`,
  ])('is not read from %j', (text) => {
    expect(parseDigest(text)).toBeUndefined();
  });

  test('that was damaged in one character is either refused or another digest', () => {
    fc.assert(
      fc.property(
        fc.nat(emptySha256.length - 1),
        fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
        (at, other) => {
          const damaged = emptySha256.slice(0, at) + other + emptySha256.slice(at + 1);
          const stillDigest = damaged.startsWith('sha256:') && /^[0-9a-f]$/.test(other) && at >= 7;
          expect(parseDigest(damaged) !== undefined).toBe(stillDigest || damaged === emptySha256);
        },
      ),
    );
  });

  test('of bytes in pieces is that of the whole, and can be asked for on the way', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('sha256' as const, 'sha512' as const),
        fc.array(fc.uint8Array()),
        (algorithm, chunks) => {
          const hasher = new DigestHasher(algorithm);
          const soFar: number[] = [];
          for (const chunk of chunks) {
            hasher.update(chunk);
            soFar.push(...chunk);
            expect(hasher.digest()).toBe(digestOf(algorithm, Uint8Array.from(soFar)));
          }
          expect(hasher.digest()).toBe(hasher.digest());
          expect(algorithmOf(hasher.digest())).toBe(algorithm);
        },
      ),
      { numRuns: 50 },
    );
  });

  test('can be of sha256 and sha512 only', () => {
    expect(['sha256', 'sha512', 'sha384', 'SHA256', '', 'blake3', 'constructor'].filter(isDigestAlgorithm)).toEqual([
      'sha256',
      'sha512',
    ]);
  });
});

describe('the message about a text that is no digest', () => {
  test.each([
    ['latest', 'expected an algorithm, a colon and the hash'],
    ['sha256:abc', '64 hexadecimal digits, this one has 3'],
    [`sha512:${'0'.repeat(64)}`, '128 hexadecimal digits, this one has 64'],
    [emptySha256.replace('e3b0', 'E3B0'), 'lower case'],
    [emptySha256.replace('sha256', 'SHA256'), 'write the algorithm in lower case, sha256'],
    [emptySha256.replace('e3b0', 'x3b0'), '"x" is not a hexadecimal digit'],
    [emptySha256.replace('e3b0', '😀'), '"😀" is not a hexadecimal digit'],
    [':abc', '"" before the colon is not the name of an algorithm'],
    ['sha 256:abc', '"sha 256" before the colon is not the name of an algorithm'],
    ['sha384:', 'must follow the colon'],
    ['md5:abc def', 'must follow the colon'],
  ])('about %j says %j', (text, expected) => {
    expect(describeDigestProblem(text)).toContain(expected);
  });

  test('tells an algorithm that is not supported from a digest that cannot be read', () => {
    for (const text of [`sha384:${'0'.repeat(96)}`, `blake3:${'0'.repeat(64)}`]) {
      expect(describeDigestProblem(text)).toContain('is a well-formed digest, but the algorithm');
      expect(describeDigestProblem(text)).toContain('not supported by this registry');
    }
    expect(describeDigestProblem('multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8')).toContain(
      'is a well-formed digest, but the algorithm "multihash+base58" is unknown to this registry',
    );
  });

  test('is one short line about a digest that is refused, whatever was sent', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.string({ maxLength: 5000 }).map((text) => `sha256:${text}`),
        ),
        (text) => {
          const message = describeDigestProblem(text);
          expect(message).not.toMatch(/\p{Cc}/u);
          expect(message.length).toBeLessThan(2000);
          expect(message.endsWith('is a valid digest')).toBe(parseDigest(text) !== undefined);
        },
      ),
    );
  });
});
