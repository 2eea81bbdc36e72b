import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { parseDescriptor } from './descriptor.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const smallest = { mediaType: 'application/vnd.example', digest, size: 7 };

function problemWith(fields: Readonly<Record<string, unknown>>) {
  const parsed = parseDescriptor({ ...smallest, ...fields }, 'layers[2]');
  return parsed.ok ? undefined : parsed.problem;
}

describe('a descriptor', () => {
  test('is read with its required fields alone', () => {
    const parsed: unknown = parseDescriptor(smallest, 'config');
    expect(parsed).toEqual({
      ok: true,
      descriptor: {
        mediaType: 'application/vnd.example',
        digest,
        sizeBytes: 7,
        urls: [],
        hasData: false,
        annotations: undefined,
        artifactType: undefined,
      },
    });
  });

  test('is read with all its fields, and with some that are unknown', () => {
    const parsed: unknown = parseDescriptor(
      {
        ...smallest,
        urls: ['https://example.com/layer'],
        annotations: { 'org.example': 'yes', ['__proto__']: 'a string like any' },
        artifactType: 'application/vnd.example.sbom',
        data: 'e30=',
        platform: { os: 'linux', architecture: 'amd64' },
        'org.example.custom': [1],
      },
      'config',
    );
    expect(parsed).toMatchObject({
      ok: true,
      descriptor: {
        urls: ['https://example.com/layer'],
        hasData: true,
        annotations: { 'org.example': 'yes' },
        artifactType: 'application/vnd.example.sbom',
      },
    });
  });

  test('takes null for a field that it may lack', () => {
    expect(problemWith({ urls: null, data: null, annotations: null, artifactType: null })).toBeUndefined();
    expect(problemWith({ artifactType: '' })).toBeUndefined();
  });

  test.each([0, 1, 2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER])('may have the size %j', (size) => {
    expect(problemWith({ size })).toBeUndefined();
  });

  test.each([-1, 0.5, 2 ** 53, 1e300, Number.NaN, '7', null, undefined, [[7]], {}])(
    'may not have the size %j',
    (size) => {
      expect(problemWith({ size })).toMatchObject({ path: 'layers[2].size' });
    },
  );

  test.each([
    ['digest', undefined, 'it is missing'],
    ['digest', null, 'it is null'],
    ['digest', 7, 'it is of type number'],
    ['digest', 'sha256:abc', '64 hexadecimal digits, this one has 3'],
    ['digest', `sha384:${'0'.repeat(96)}`, 'well-formed digest, but the algorithm "sha384" is not supported'],
    ['mediaType', undefined, 'it is missing'],
    ['mediaType', '', '1 to 255 printable'],
    ['mediaType', 'a/b\r\nset-cookie: x', 'printable ASCII'],
    ['mediaType', 'a/\u0000', 'printable ASCII'],
    ['mediaType', `a/${'b'.repeat(254)}`, '1 to 255'],
    ['mediaType', ['a/b'], 'it is an array'],
    ['urls', 'https://example.com', 'an array of strings'],
    ['urls', [1], 'an array of strings'],
    ['data', 5, 'base64, a string; it is of type number'],
    ['data', ['e30='], 'base64, a string; it is an array'],
    ['annotations', ['a'], 'an object whose values are strings'],
    ['annotations', { a: 1 }, 'an object whose values are strings'],
    ['artifactType', 7, 'a media type, a string'],
    ['artifactType', 'a\u0000b', 'printable ASCII'],
  ])('is refused for its %s %j, naming the field', (field, value, expected) => {
    const problem = problemWith({ [field]: value });
    expect(problem?.path).toBe(`layers[2].${field}`);
    expect(problem?.message).toContain(expected);
  });

  test.each([null, undefined, 'text', 7, true, [[smallest]]])('is not read from %j', (value) => {
    expect(parseDescriptor(value, 'config')).toMatchObject({ ok: false, problem: { path: 'config' } });
  });

  test('is read or refused from any JSON, never with an exception', () => {
    const anything = fc.jsonValue({ maxDepth: 3 });
    const almost = fc.record(
      {
        mediaType: fc.oneof(fc.string(), anything),
        digest: fc.oneof(fc.constant(digest), anything),
        size: fc.oneof(fc.nat(), fc.double(), anything),
        urls: fc.oneof(fc.array(fc.string()), anything),
        annotations: fc.oneof(fc.dictionary(fc.string(), fc.string()), anything),
        artifactType: fc.oneof(fc.string(), anything),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.oneof(anything, almost), (value) => {
        const parsed = parseDescriptor(value, 'subject');
        if (!parsed.ok) {
          expect(parsed.problem.path.startsWith('subject')).toBe(true);
          return;
        }
        const { mediaType, sizeBytes, urls, annotations } = parsed.descriptor;
        expect(mediaType).toMatch(/^[ -~]{1,255}$/);
        expect(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0).toBe(true);
        expect([...urls, ...Object.values(annotations ?? {})].every((text) => typeof text === 'string')).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
