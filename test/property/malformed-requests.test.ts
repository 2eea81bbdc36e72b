import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { z } from 'zod';
import { digestOf, emptyJson, imageOf, indexOf, ociIndex, ociManifest } from '../http/content.ts';
import { tableCodes } from '../http/refusal.ts';
import { FreshServer } from '../server/fresh-server.ts';

let server: FreshServer;

beforeAll(async () => {
  server = await FreshServer.start();
  for (const content of [blob, config]) {
    const pushed = await send('POST', `/v2/${repo}/blobs/uploads/?digest=${digestOf(content)}`, {}, content);
    expect(pushed.status).toBe(201);
  }
  for (const { reference, type, text } of manifests) {
    const pushed = await send('PUT', `/v2/${repo}/manifests/${reference}`, { 'content-type': type }, text);
    expect(pushed.status).toBe(201);
  }
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const repo = 'team/app';
const blob = new Uint8Array(1000).map((_, position) => position % 251);
const config = new TextEncoder().encode('{"architecture":"amd64"}');
const image = JSON.stringify({ ...imageOf(config, blob), annotations: { 'org.example.note': 'seeded' } });
const index = JSON.stringify({ ...indexOf(image), annotations: {} });
const artifact = JSON.stringify({
  schemaVersion: 2,
  mediaType: ociManifest,
  artifactType: 'application/vnd.example.signature',
  config: { mediaType: emptyJson, digest: digestOf(config), size: config.byteLength, data: 'e30=' },
  layers: [],
  subject: { mediaType: ociManifest, digest: digestOf(image), size: image.length },
  annotations: { note: 'seeded' },
});
/** What is there from the beginning. Whatever is sent, the tests leave these tags alone. */
const manifests = [
  { reference: 'image', type: ociManifest, text: image },
  { reference: 'index', type: ociIndex, text: index },
  { reference: digestOf(artifact), type: ociManifest, text: artifact },
];

type Headers = Readonly<Record<string, string>>;

async function send(method: string, path: string, headers: Headers = {}, body?: Uint8Array | string) {
  const answer = await fetch(`${server.origin}${path}`, { method, headers, body });
  const bytes = await answer.bytes();
  return { status: answer.status, headers: answer.headers, bytes };
}

/** The error body that the specification describes. */
const refusal = z.object({
  errors: z.tuple([
    z.object({
      code: z.string().refine((code) => tableCodes.has(code)),
      message: z.string().min(1),
      detail: z.record(z.string(), z.unknown()).refine((detail) => Object.keys(detail).length > 0),
    }),
  ]),
});

/** Sends a request. Whatever it was, it is answered with 2xx to 4xx, and refused as the specification says. */
async function sendAnything(method: string, path: string, headers: Headers = {}, body?: Uint8Array | string) {
  const answer = await send(method, path, headers, body);
  const text = new TextDecoder().decode(answer.bytes);
  expect(`${answer.status} ${text}`).toMatch(/^[234]/);
  if (answer.status >= 400 && method !== 'HEAD') {
    expect(text).not.toContain('.ts:');
    refusal.parse(JSON.parse(text));
  }
  return answer;
}

/** What is right three times out of four, so that the rest of a request is looked at. */
const mostly = <T>(usual: T, odd: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: odd });

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...Array.from('0123456789abcdefG')), minLength: length - 1, maxLength: length });
const digest = fc.oneof(
  hex(64).map((text) => `sha256:${text}`),
  hex(128).map((text) => `sha512:${text}`),
  fc.string().map((text) => encodeURIComponent(text)),
  fc.constantFrom('sha256:', 'md5:00', ':', '%', '%zz', 'sha256:..', 'SHA256:00'),
);
const name = fc.oneof(
  fc.constantFrom('a', 'a/b', 'a/manifests', 'blobs/uploads', 'A', 'a//b', '-a', '..', 'a'.repeat(300)),
  fc.string().map((text) => encodeURIComponent(text)),
);
const tag = fc.oneof(fc.constantFrom('latest', '-bad', 'x'.repeat(200)), fc.string().map(encodeURIComponent));
const path = fc.oneof(
  fc.tuple(name, fc.oneof(tag, digest)).map(([of, reference]) => `${of}/manifests/${reference}`),
  fc.tuple(name, digest).map(([of, text]) => `${of}/blobs/${text}`),
  fc.tuple(name, digest).map(([of, text]) => `${of}/referrers/${text}`),
  fc.tuple(name, fc.string().map(encodeURIComponent)).map(([of, id]) => `${of}/blobs/uploads/${id}`),
  name.map((of) => `${of}/tags/list`),
  fc.webPath(),
);
const query = fc.oneof(
  fc.webQueryParameters(),
  fc.constantFrom(
    '',
    'n=-1',
    'n=x',
    'n=1e9',
    'digest=',
    'digest=sha256:0',
    'mount=x&from=y',
    'tag=%00',
    'last=%ff',
    'n=0&n=1',
    'artifactType=%00',
    `tag=${'x'.repeat(129)}`,
    `last=${'x'.repeat(1000)}`,
    'tag=a&'.repeat(101),
  ),
);
const position = fc.oneof(
  { weight: 3, arbitrary: fc.nat(1100).map(String) },
  fc.constantFrom('', '0', '-1', '1.5', '1e3', 'x', '9007199254740993', '9'.repeat(30)),
);
const range = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(position, position).map(([first, last]) => `${first}-${last}`) },
  fc.constantFrom('', '-', '0-0,5-6', '5-1', '*/10', '0-9/10', '0-9/*'),
);
const rangeHeader = fc
  .tuple(mostly('bytes=', fc.constantFrom('bytes ', 'Bytes=', 'lines=', '')), range)
  .map((parts) => parts.join(''));
const entityTag = fc.constantFrom(
  '*',
  '',
  '"',
  ',',
  'x',
  `"${digestOf(blob)}"`,
  `W/"${digestOf(image)}"`,
  `"${digestOf(image)}", "${digestOf(index)}"`,
  'Tue, 01 Jan 2030 00:00:00 GMT',
);
const conditions = mostly<Headers>(
  {},
  fc.dictionary(fc.constantFrom('if-match', 'if-none-match', 'if-range', 'if-modified-since'), entityTag, {
    minKeys: 1,
    maxKeys: 2,
  }),
);
const type = fc.constantFrom('', ociManifest, ociIndex, 'application/vnd.example+json', 'text/html', ';;;');
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.json().map((text) => new TextEncoder().encode(text)),
);

/** In the order in which they are tried, so that what each of them does is seen by the last. */
describe('whatever a client sends is answered with 2xx or 4xx, and a refusal in the shape of the specification:', () => {
  test('a request of any kind', async () => {
    const method = fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS', 'REPORT');
    await fc.assert(
      fc.asyncProperty(method, path, query, rangeHeader, type, bytes, async (verb, rest, search, part, sent, body) => {
        const headers = { range: part, 'content-range': part, ...(sent === '' ? {} : { 'content-type': sent }) };
        const mayHaveBody = verb !== 'GET' && verb !== 'HEAD';
        await sendAnything(verb, `/v2/${rest}?${search}`, headers, mayHaveBody ? body : undefined);
      }),
      { numRuns: 2000 },
    );
  }, 60_000);

  test('a range of a blob that is there', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('GET', 'HEAD'), rangeHeader, conditions, async (method, part, given) => {
        const answer = await sendAnything(method, `/v2/${repo}/blobs/${digestOf(blob)}`, { range: part, ...given });
        if (answer.status === 200 && method === 'GET') expect(answer.bytes).toEqual(blob);
        if (answer.status !== 206) return;
        const [, first, last] = /^bytes (\d+)-(\d+)\/1000$/.exec(answer.headers.get('content-range') ?? '') ?? [];
        expect(answer.bytes).toEqual(blob.slice(Number(first), Number(last) + 1));
      }),
      { numRuns: 500 },
    );
  }, 60_000);

  test('chunks of a session that is open, and its end', async () => {
    // Where nothing else is said, the right range and the right digest.
    const chunk = fc.record({
      body: fc.uint8Array({ minLength: 1, maxLength: 200 }),
      odd: mostly<string | undefined>(undefined, rangeHeader),
      given: conditions,
    });
    const wrong = fc.constantFrom('', digestOf(blob), digestOf(''), digestOf('', 'sha512'), 'sha256:0');
    const end = fc.record({
      claimed: mostly<string | undefined>(undefined, fc.oneof(wrong, digest)),
      search: mostly('', query),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(chunk, { maxLength: 3 }), chunk, end, async (chunks, last, { claimed, search }) => {
        const opened = await sendAnything('POST', `/v2/${repo}/blobs/uploads/`);
        const session = opened.headers.get('location') ?? '';
        let received = new Uint8Array();
        for (const { body, odd, given } of chunks) {
          const right = `${received.byteLength}-${received.byteLength + body.byteLength - 1}`;
          const answer = await sendAnything('PATCH', session, { 'content-range': odd ?? right, ...given }, body);
          if (answer.status === 202) received = new Uint8Array(Buffer.concat([received, body]));
          expect((await send('GET', session)).headers.get('range')).toBe(`0-${Math.max(received.byteLength - 1, 0)}`);
        }
        const whole = new Uint8Array(Buffer.concat([received, last.body]));
        const url = `${session}?digest=${claimed ?? digestOf(whole)}&${search}`;
        const headers = { ...(last.odd === undefined ? {} : { 'content-range': last.odd }), ...last.given };
        const answer = await sendAnything('PUT', url, headers, last.body);
        await sendAnything('DELETE', session);
        if (claimed === undefined && last.odd === undefined) expect(answer.status).toBe(201);
        if (answer.status !== 201) return;
        const pushed = await send('GET', `/v2/${repo}/blobs/${answer.headers.get('docker-content-digest')}`);
        expect(pushed.bytes).toEqual(whole);
      }),
      { numRuns: 300 },
    );
  }, 60_000);

  test('a manifest that was a valid one before something in it was changed', async () => {
    const replacement = fc.oneof(
      fc.constantFrom<unknown>(undefined, null, 0, -1, 2, 1.5, 2 ** 53, 1e308, '', '\u0000', [], {}, [[[[]]]], true),
      fc.constantFrom<unknown>(digestOf(blob), digestOf(image), digestOf('absent'), ociManifest, ociIndex, 'text/html'),
      fc.jsonValue(),
    );
    const replacements = fc.array(fc.record({ at: fc.nat(), replacement }), { minLength: 1, maxLength: 2 });
    const cut = fc.record({ at: fc.nat(), inserted: fc.string() });
    const text = fc
      .tuple(
        fc.constantFrom(image, index, artifact),
        replacements,
        mostly<{ at: number; inserted: string } | null>(null, cut),
      )
      .map(([valid, replaced, broken]) => {
        const changed = replaced.reduce((before, each) => withValueReplaced(before, each.at, each.replacement), valid);
        return broken === null ? changed : changed.slice(0, broken.at % (changed.length + 1)) + broken.inserted;
      });
    const wrong = fc.constantFrom('changed', digestOf(image), 'sha256:0', '-x');
    const reference = mostly<string | undefined>(undefined, fc.oneof(wrong, digest));
    await fc.assert(
      fc.asyncProperty(
        text,
        reference,
        mostly('', query),
        mostly('', type),
        conditions,
        async (sent, odd, search, as, given) => {
          const headers = { ...given, ...(as === '' ? {} : { 'content-type': as }) };
          const place = `/v2/${repo}/manifests/${odd ?? digestOf(sent)}?${search}`;
          const answer = await sendAnything('PUT', place, headers, sent);
          if (answer.status !== 201) return;
          const pushed = await send('GET', `/v2/${repo}/manifests/${answer.headers.get('docker-content-digest')}`);
          expect(new TextDecoder().decode(pushed.bytes)).toBe(sent);
        },
      ),
      { numRuns: 1000 },
    );
  }, 60_000);

  test('reads and deletes of what is there, with odd parameters and conditions', async () => {
    const places = [
      '/v2/_catalog',
      `/v2/${repo}/tags/list`,
      `/v2/${repo}/referrers/${digestOf(image)}`,
      `/v2/${repo}/manifests/image`,
      `/v2/${repo}/manifests/${digestOf(image)}`,
      `/v2/${repo}/blobs/${digestOf(blob)}`,
    ];
    const odd = fc.oneof(
      query,
      fc.tuple(position, fc.string()).map(([n, last]) => `n=${n}&last=${encodeURIComponent(last)}`),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...places), odd, conditions, async (place, search, given) => {
        for (const method of ['GET', 'HEAD']) await sendAnything(method, `${place}?${search}`, given);
        // Held by the index and the image, these can't be deleted.
        if (!place.includes('sha256')) return;
        expect((await sendAnything('DELETE', `${place}?${search}`, given)).status).toBeGreaterThanOrEqual(400);
      }),
      { numRuns: 300 },
    );
  }, 60_000);

  test('and what was there before is there afterwards, as it was', async () => {
    for (const content of [blob, config]) {
      expect((await send('GET', `/v2/${repo}/blobs/${digestOf(content)}`)).bytes).toEqual(new Uint8Array(content));
    }
    for (const { reference, type: sent, text } of manifests) {
      const pulled = await send('GET', `/v2/${repo}/manifests/${reference}`);
      expect(new TextDecoder().decode(pulled.bytes)).toBe(text);
      expect(pulled.headers.get('content-type')).toBe(sent);
    }
    const referrers = await send('GET', `/v2/${repo}/referrers/${digestOf(image)}`);
    expect(new TextDecoder().decode(referrers.bytes)).toContain(digestOf(artifact));
  });
});

/** A JSON text in which one of its values, in the order in which they stand there, is another; undefined takes it out. */
function withValueReplaced(text: string, at: number, replacement: unknown): string {
  const countValues = (value: unknown): number => {
    let count = 0;
    JSON.stringify(value, (_key, each: unknown) => {
      count++;
      return each;
    });
    return count;
  };
  const whole: unknown = JSON.parse(text);
  const chosen = at % countValues(whole);
  let seen = 0;
  const replaced: string | undefined = JSON.stringify(whole, (_key, each: unknown) =>
    seen++ === chosen ? replacement : each,
  );
  return replaced ?? 'null';
}
