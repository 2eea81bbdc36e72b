import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { digestOf, ociIndex, ociManifest } from '../http/content.ts';
import { FuzzedRegistry } from './fuzzed-registry.ts';
import { exchange, statusesOf } from './raw-exchange.ts';

/** A connection that gets nowhere is closed after its idle time, 2 s, for which the runtime looks every 4 s. */
const withinMs = 20_000;
const rounds = Number(Bun.env['FUZZ_ROUNDS'] ?? 300);
const seed = Bun.env['FUZZ_SEED'] === undefined ? {} : { seed: Number(Bun.env['FUZZ_SEED']) };

/** Texts are written a byte a character. */
const bytesOf = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const mostly = <T>(usual: fc.Arbitrary<T>, odd: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 7, arbitrary: usual }, { weight: 1, arbitrary: odd });

const blob = digestOf('a blob that nobody has');
const encoded = fc.string({ unit: 'binary', maxLength: 20 }).map((text) => encodeURIComponent(text.toWellFormed()));
/** `IMAGE` and `LAYER` stand for what the registry has. */
const digest = fc.oneof(
  fc.constantFrom('IMAGE', 'LAYER', blob, 'sha256:', `sha512:${'0'.repeat(128)}`, '%00'),
  encoded,
);
const repo = mostly(fc.constantFrom('team/app', 'team/app', 'public/app', 'team/fixed'), fc.oneof(encoded));
const path = fc.oneof(
  fc.tuple(repo, digest).map(([name, one]) => `/v2/${name}/manifests/${one}`),
  fc.tuple(repo, fc.constantFrom('v1', 'index', 'fuzzed')).map(([name, tag]) => `/v2/${name}/manifests/${tag}`),
  fc.tuple(repo, digest).map(([name, one]) => `/v2/${name}/blobs/${one}`),
  repo.map((name) => `/v2/${name}/blobs/uploads/`),
  fc.tuple(repo, fc.oneof(fc.uuid(), encoded)).map(([name, id]) => `/v2/${name}/blobs/uploads/${id}`),
  fc.tuple(repo, digest).map(([name, one]) => `/v2/${name}/referrers/${one}`),
  repo.map((name) => `/v2/${name}/tags/list`),
  fc.constantFrom('/v2/', '/v2', '/v2/_catalog', '/token', '/token', '/healthz', '/metrics', '/'),
);
const scope = fc.constantFrom(
  'repository:team/app:pull,push',
  'registry:catalog:*',
  'repository::',
  '::::',
  'repository:team/app:*',
  'a%20'.repeat(300),
);
const parameter = fc.oneof(
  fc.tuple(fc.constantFrom('n', 'last', 'digest', 'mount', 'from', 'tag', 'artifactType'), fc.oneof(digest, encoded)),
  fc.tuple(fc.constant('n'), fc.constantFrom('0', '-0', '1e400', '9'.repeat(400), '0x10', '１')),
  fc.tuple(
    fc.constantFrom('service', 'account', 'client_id', 'offline_token', 'grant_type', 'refresh_token', 'password'),
    fc.oneof(fc.constantFrom('true', 'wherry', 'password', 'refresh_token', 'a.b.c', '%ff'), encoded),
  ),
  fc.tuple(fc.constant('scope'), scope),
);
const query = fc
  .array(parameter, { maxLength: 4 })
  .map((parameters) => parameters.map((pair) => pair.join('=')).join('&'));

const garbage = fc
  .uint8Array({ minLength: 1, maxLength: 60, size: 'max' })
  .map((bytes) => Buffer.from(bytes.filter((byte) => byte > 31 && byte !== 127)).toString('latin1'));
const number = fc.constantFrom('', '0', '-1', '+5', '5,5', '0x5', '1e3', '9'.repeat(30), '18446744073709551616', '5 5');
const jwt = fc
  .tuple(fc.constantFrom('{"alg":"none"}', '{"alg":"HS256"}', '{"alg":"ES256","kid":"x"}', '{', '[]'), fc.json())
  .map((parts) => [...parts, 'x'].map((part) => Buffer.from(part).toString('base64url')).join('.'));
const authorization = fc.oneof(
  garbage.map((text) => `Basic ${text}`),
  garbage.map((text) => `Basic ${Buffer.from(text).toString('base64')}`),
  fc.constantFrom('Basic', 'Bearer', 'Basic Og==', 'Basic OjoAOg==', 'Bearer a.b.c', 'Bearer ..', 'Negotiate x', ''),
  fc.nat({ max: 6000 }).map((length) => `Basic ${'QUFB'.repeat(length / 4)}`),
  jwt.map((token) => `Bearer ${token}`),
  garbage,
);
const header = fc.oneof(
  fc.tuple(
    fc.constantFrom('Range', 'Content-Range'),
    fc.constantFrom('bytes=0-', '0-9', 'bytes=-0', `0-${'9'.repeat(30)}`, '5-1', 'x'),
  ),
  fc.tuple(
    fc.constantFrom('Range', 'Content-Range', 'If-Match', 'If-None-Match', 'If-Range', 'Accept', 'Content-Type'),
    garbage,
  ),
  fc.tuple(
    fc.constant('Range'),
    fc.nat({ max: 500 }).map((count) => `bytes=${Array.from({ length: count }, (_, at) => `${at}-${at}`).join(',')}`),
  ),
  fc.tuple(
    fc.constantFrom('If-Match', 'If-None-Match'),
    fc.nat({ max: 400 }).map((count) => '"x", '.repeat(count)),
  ),
  fc.tuple(
    fc.constant('Accept'),
    fc.nat({ max: 200 }).map((count) => Array(count).fill('a/b;q=0.1').join(',')),
  ),
  fc.tuple(
    fc.constant('Content-Type'),
    fc.constantFrom(
      ociManifest,
      ociIndex,
      'application/json; charset=\xff',
      'a'.repeat(3000),
      'application/x-www-form-urlencoded',
    ),
  ),
  fc.tuple(fc.constantFrom('X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Proto', 'Host', 'Cookie'), garbage),
  fc.tuple(
    fc.constantFrom('OCI-Tag', 'Expect', 'Upgrade', 'Connection', 'TE'),
    fc.constantFrom('100-continue', 'h2c', 'close', 'trailers', '\x80'),
  ),
  fc.tuple(
    fc.constant('X-Large'),
    fc.nat({ max: 20_000 }).map((length) => 'x'.repeat(length)),
  ),
  fc.tuple(fc.constant('Authorization'), authorization),
);
/** How long the body is said to be. Undefined is the truth. */
const framing = mostly<string | undefined>(
  fc.constant(undefined),
  fc.oneof(
    number.map((length) => `Content-Length: ${length}\r\n`),
    fc.constantFrom(
      'Transfer-Encoding: chunked\r\n',
      'Transfer-Encoding: gzip, chunked\r\n',
      'Transfer-Encoding: chunked\r\nContent-Length: 5\r\n',
      'Transfer-Encoding: xchunked\r\n',
      'Content-Length: 1\r\nContent-Length: 2\r\n',
      'Content-Length: 100000\r\n',
    ),
  ),
);
const deep = (open: string, close: string) =>
  fc.constantFrom(10, 1000, 100_000).map((depth) => open.repeat(depth) + close.repeat(depth));
const manifest = (inner: string) =>
  `{"schemaVersion":2,"mediaType":"${ociManifest}","config":{"mediaType":"a/b","digest":"${blob}","size":0},"layers":[],${inner}}`;
const body = fc.oneof(
  fc.constantFrom(
    '',
    '{',
    'null',
    '1e999',
    '"\\ud800"',
    '\xef\xbb\xbf{}',
    '{"a":"\x00"}',
    '\xff\xfe{\x00',
    '\xc0\xaf',
    '5\r\nhello\r\n0\r\n\r\n',
    'ffffffffffffffff\r\n',
    '-1\r\n\r\n',
  ),
  deep('[', ']'),
  deep('{"a":', '}'),
  deep('{"annotations":', '}').map((nested) => manifest(`"annotations":${nested}`)),
  fc
    .constantFrom('__proto__', 'constructor', 'toString', '\xff', '\\u0000')
    .map((key) => manifest(`"${key}":{"${key}":1}`)),
  fc
    .constantFrom('1e308', '-0', '9'.repeat(500), '1.5', '9007199254740993')
    .map((size) => manifest(`"subject":{"mediaType":"a/b","digest":"${blob}","size":${size}}`)),
  fc.constantFrom(200, 20_000).map((count) => manifest(`"manifests":[${Array(count).fill('{}').join(',')}]`)),
  fc.array(parameter, { maxLength: 6 }).map((pairs) => pairs.map((pair) => pair.join('=')).join('&')),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
);
const method = mostly(
  fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE'),
  fc.constantFrom('OPTIONS', 'TRACE', 'CONNECT', 'REPORT', 'BREW', 'get', 'PROPFIND'),
);
const request = fc.record({
  method,
  path,
  query,
  isLoggedIn: fc.boolean(),
  headers: fc.array(header, { maxLength: 4 }),
  framing,
  body,
  version: mostly(fc.constant('1.1'), fc.constantFrom('1.0', '2.0', '9.9')),
});

describe.each([{ isGuarded: false }, { isGuarded: true }])(
  'a registry that is guarded: $isGuarded',
  ({ isGuarded }) => {
    let registry: FuzzedRegistry;

    beforeAll(async () => {
      registry = await FuzzedRegistry.start({ isGuarded });
    });
    afterAll(async () => {
      await registry[Symbol.asyncDispose]();
    });

    test(
      'answers whatever it is sent, or ends the connection, and says nothing of its own insides',
      async () => {
        let sent = 0;
        const counts = new Map<number, number>();
        const known = (text: string) =>
          text.replaceAll('IMAGE', registry.image.digest).replaceAll('LAYER', registry.image.blobs[1] ?? '');
        await fc.assert(
          fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 60, size: 'max' }), async (requests) => {
            const exchanges = requests.map(async (one) => {
              const content = bytesOf(known(one.body));
              const login = one.isLoggedIn ? `Authorization: ${registry.login}\r\n` : '';
              const headers = one.headers.map((pair) => `${pair.join(': ')}\r\n`).join('');
              const length = one.framing ?? `Content-Length: ${content.byteLength}\r\n`;
              const target = known(`${one.path}?${one.query}`);
              // What deletes the image that is kept is asked for by nobody: the rest is to be seen to be untouched by it.
              const isDeletion = one.method === 'DELETE' && target.includes(registry.image.digest);
              const line = `${isDeletion ? 'GET' : one.method} ${target} HTTP/${one.version}\r\n`;
              const head = `${line}Host: localhost\r\n${login}${headers}${length}\r\n`;
              // Of an address of its own, so that the failed logins of one do not keep the others out.
              const from = `127.${1 + (sent % 200)}.${(sent >> 8) % 250}.${1 + (sent % 250)}`;
              sent++;
              const message = Buffer.concat([bytesOf(head), content]);
              const { received, isOver } = await exchange(message, { port: registry.port, from, withinMs });
              const shown = `${head}${one.body.slice(0, 300)}\n=>\n${received.slice(0, 500)}`;
              expect(isOver ? '' : `not over: ${shown}`).toBe('');
              for (const status of statusesOf(received)) {
                counts.set(status, (counts.get(status) ?? 0) + 1);
                // The runtime's own answer to a version of HTTP that it does not speak.
                if (status >= 500 && status !== 505) expect(shown).toBe('no answer of 500');
              }
              if (/\.ts:\d|\.mjs:\d|\bat \S+ \(|node_modules|SQLITE_|\/src\//.test(received)) {
                expect(shown).toBe('no stack trace');
              }
            });
            await Promise.all(exchanges);
          }),
          { numRuns: rounds, ...seed, endOnFailure: true },
        );
        console.error(`${sent} requests, answers by status: ${JSON.stringify(Object.fromEntries(counts))}`);
      },
      rounds * 5000,
    );

    test('has logged no failure of its own, and works as before', async () => {
      expect(await registry.failures()).toEqual([]);
      await registry.expectWorking();
    }, 60_000);
  },
);
