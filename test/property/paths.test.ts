import { afterAll, beforeAll, expect, test } from 'bun:test';
import { lstat, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join, relative } from 'node:path';
import * as fc from 'fast-check';
import { digestOf, freshBytes } from '../http/content.ts';
import { FreshServer } from '../server/fresh-server.ts';

let server: FreshServer;
/**
 * The directory in which everything happens: the data directory is one of several in it, and beside it lies what nobody
 * is to read, or to write.
 */
let directory: string;
const secret = 'what lies beside the data directory';
const blob = freshBytes(1000);
/** Its digest is in no request: one that makes sense may delete the other. */
const kept = freshBytes(1000);

beforeAll(async () => {
  server = await FreshServer.start('--log-level', 'error');
  ({ directory } = server);
  await writeFile(join(directory, 'secret'), secret);
  await mkdir(join(directory, 'beside'));
  await writeFile(join(directory, 'beside', 'secret'), secret);
  for (const body of [blob, kept]) {
    const path = `/v2/app/blobs/uploads/?digest=${digestOf(body)}`;
    expect((await fetch(`${server.origin}${path}`, { method: 'POST', body })).status).toBe(201);
  }
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** What has led out of some server's directories, and what else paths are not made for. Bytes are written as latin1. */
const nasty = fc.constantFrom(
  ...String.raw`.. . ... / // \ \..\ ../../../../etc/passwd /etc/passwd ..; ..%00/ ~ ~root $HOME |id ;id ' " <script> {} []
    %2e%2e %2E%2E%2F %2f %5c %252e%252e%252f %00 %0a %0d%0a % %2 %zz %u002e * ? # @ :
    %c0%ae%c0%ae %c0%af %e0%80%ae %f0%80%80%ae %c3 %ed%a0%80 %ff%fe
    wherry.db admin.token objects lock.db CON nul aux. __proto__ constructor toString hasOwnProperty
    manifests blobs uploads tags list referrers _catalog v2 admin v1`.split(/\s+/),
  ' ',
  '`id`',
  // Overlong forms of a dot, and no UTF-8 at all.
  '\xc0\xae',
  '\xff\xfe',
  '\u202e',
  '\u00e9',
  'e\u0301',
  '💥',
  'a'.repeat(255),
  'a'.repeat(256),
  'a'.repeat(4096),
);
const piece = fc.oneof(
  { weight: 4, arbitrary: nasty },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 20 }) },
  { weight: 1, arbitrary: fc.constantFrom('app', 'secret', 'beside/secret', digestOf(blob), 'latest') },
);
const text = fc.array(piece, { minLength: 1, maxLength: 4 }).map((pieces) => pieces.join(''));
const segment = fc.oneof(
  text,
  fc.array(piece, { minLength: 1, maxLength: 4 }).map((pieces) => pieces.join('/')),
);

/** Every route that there is, with something odd where a name stands. */
const route = fc.oneof(
  fc.tuple(segment, segment).map(([repo, reference]) => `/v2/${repo}/manifests/${reference}`),
  fc.tuple(segment, segment).map(([repo, digest]) => `/v2/${repo}/blobs/${digest}`),
  fc.tuple(segment, segment).map(([repo, id]) => `/v2/${repo}/blobs/uploads/${id}`),
  segment.map((repo) => `/v2/${repo}/blobs/uploads/`),
  fc
    .tuple(segment, segment, segment)
    .map(([repo, digest, from]) => `/v2/${repo}/blobs/uploads/?mount=${digest}&from=${from}`),
  fc.tuple(segment, segment).map(([repo, digest]) => `/v2/${repo}/blobs/uploads/?digest=${digest}`),
  fc.tuple(segment, segment).map(([repo, last]) => `/v2/${repo}/tags/list?n=5&last=${last}`),
  fc.tuple(segment, segment).map(([repo, digest]) => `/v2/${repo}/referrers/${digest}?artifactType=${digest}`),
  segment.map((last) => `/v2/_catalog?last=${last}`),
  segment.map((rest) => `/v2/${rest}`),
  segment.map((rest) => `/admin/v1/${rest}`),
  segment.map((rest) => `/${rest}`),
);

/** A request's target: a path, or one of the other forms that HTTP has (RFC 9112, 3.2). */
const target = fc.oneof(
  { weight: 8, arbitrary: route },
  { weight: 1, arbitrary: route.map((path) => `http://elsewhere.example${path}`) },
  { weight: 1, arbitrary: route.map((path) => `file://${path}`) },
  { weight: 1, arbitrary: segment },
  {
    weight: 1,
    arbitrary: fc.constantFrom('*', '', 'registry:443', '//', '/\\', '?', '/?', '/#', '/v2', '/v2//', '/v2/?'),
  },
);
const host = fc.oneof(
  { weight: 4, arbitrary: fc.constant('registry') },
  {
    weight: 1,
    arbitrary: fc.constantFrom('', '../..', 'a/b', '[::1', '%00', 'x'.repeat(300), 'registry:99999', '\xff'),
  },
);
const method = fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE');

/** What a server may answer to what no client should send. 505 is the runtime's, to a target with a blank in it. */
const allowed: ReadonlySet<number> = new Set([
  200, 201, 202, 204, 206, 304, 400, 401, 403, 404, 405, 409, 412, 413, 414, 416, 429, 431, 505,
]);

/** All that comes back on a connection of its own until it is closed. */
async function answerTo(request: Buffer): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let answer = '';
  const socket = connect(server.port, '127.0.0.1', () => void socket.write(request));
  socket.on('data', (some) => (answer += some.toString('latin1')));
  socket.on('error', () => undefined);
  socket.on('close', () => resolve(answer));
  // The body of a refused request that is not read may keep the connection open.
  socket.setTimeout(3000, () => socket.destroy());
  return await promise;
}

/** Every path below a directory but those in the data directory. */
async function pathsBeside(): Promise<string[]> {
  const all = await readdir(directory, { recursive: true });
  return all.filter((path) => path !== 'data' && !path.startsWith('data/')).toSorted();
}

test('whatever stands in a request for a path, it is answered as HTTP has it, and leads nowhere but into the registry', async () => {
  const before = await pathsBeside();
  await fc.assert(
    fc.asyncProperty(method, target, host, fc.boolean(), async (verb, path, name, hasBody) => {
      const body = hasBody ? 'some bytes' : '';
      // A line break would end the target, and make of it another request.
      const oneLine = path.replaceAll(/[\r\n]/g, '');
      const head = `${verb} ${oneLine} HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`;
      // Some characters are sent as UTF-8, those below U+0100 as single bytes, which are no UTF-8.
      const isLatin = Buffer.from(head, 'latin1').toString('latin1') === head;
      const answer = await answerTo(Buffer.from(head + body, isLatin ? 'latin1' : 'utf8'));
      expect(answer).not.toContain(secret);
      expect(answer).not.toContain('root:x:0');
      expect(answer).not.toContain('SQLite format');
      expect(answer).not.toMatch(/\.ts:\d|node_modules|at async /);
      if (answer === '') return;
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
      expect(`${allowed.has(status)} ${answer.slice(0, 300)}`).toStartWith('true');
    }),
    { numRuns: 3000 },
  );
  expect(await pathsBeside()).toEqual(before);
  for (const path of ['secret', 'beside/secret']) expect(await readFile(join(directory, path), 'utf8')).toBe(secret);
}, 120_000);

test('and what was written for it has names that the registry has made', async () => {
  const names = await readdir(join(directory, 'data'), { recursive: true });
  const own =
    /^(wherry\.db(-wal|-shm)?|lock\.(db|pid)(-\w+)?|admin\.token|server\.(url|process)|registries(\/[0-9a-f]{32})?|reserve|objects(\/[0-9a-f]{2})?(\/[0-9a-f-]+)?)$/;
  expect(names.filter((name) => !own.test(name))).toEqual([]);
  for (const name of names) {
    const path = join(directory, 'data', name);
    expect(relative(directory, path).startsWith('data/')).toBe(true);
    expect((await lstat(path)).isSymbolicLink()).toBe(false);
  }
  const pulled = await fetch(`${server.origin}/v2/app/blobs/${digestOf(kept)}`);
  expect(digestOf(await pulled.bytes())).toBe(digestOf(kept));
});
