import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { z } from 'zod';
import { freePort, ServerProcess } from '../server/server-process.ts';

let directory: string;
let server: ServerProcess;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'wherry-malformed-'));
  const port = await freePort();
  server = await ServerProcess.start(port, join(directory, 'log'), {
    command: [
      process.execPath,
      'src/main.ts',
      'serve',
      '--listen',
      `127.0.0.1:${port}`,
      '--data',
      join(directory, 'data'),
    ],
  });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

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
  fc.tuple(name, fc.oneof(tag, digest)).map(([repo, reference]) => `${repo}/manifests/${reference}`),
  fc.tuple(name, digest).map(([repo, text]) => `${repo}/blobs/${text}`),
  fc.tuple(name, digest).map(([repo, text]) => `${repo}/referrers/${text}`),
  fc.tuple(name, fc.string().map(encodeURIComponent)).map(([repo, id]) => `${repo}/blobs/uploads/${id}`),
  name.map((repo) => `${repo}/tags/list`),
  fc.webPath(),
);
const query = fc
  .webQueryParameters()
  .chain((free) =>
    fc.constantFrom(
      '',
      free,
      'n=-1',
      'n=x',
      'n=1e9',
      'digest=',
      'digest=sha256:0',
      'mount=x&from=y',
      'tag=%00',
      'last=%ff',
    ),
  );
/** The error body that the specification describes. */
const refusal = z.object({
  errors: z
    .array(z.object({ code: z.string().regex(/^[A-Z_]+$/), message: z.string().min(1), detail: z.unknown() }))
    .min(1),
});

const request = fc.record({
  method: fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS', 'REPORT'),
  path,
  query,
  range: fc.constantFrom(
    '',
    'bytes=',
    'bytes=5-1',
    'bytes=-',
    '0-0',
    '9-1',
    'bytes 1-2/3',
    'lines=1-2',
    '1-99999999999999999999',
  ),
  type: fc.constantFrom('', 'application/vnd.oci.image.manifest.v1+json', 'text/html', ';;;'),
  body: fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.json().map((text) => new TextEncoder().encode(text)),
  ),
});

test('whatever a client sends is answered with 2xx or 4xx, and a refusal in the shape of the specification', async () => {
  await fc.assert(
    fc.asyncProperty(request, async ({ method, path: rest, query: search, range, type, body }) => {
      const headers = new Headers();
      if (range !== '') for (const header of ['range', 'content-range']) headers.set(header, range);
      if (type !== '') headers.set('content-type', type);
      const mayHaveBody = method !== 'GET' && method !== 'HEAD';
      const answer = await fetch(`${server.origin}/v2/${rest}?${search}`, {
        method,
        headers,
        ...(mayHaveBody ? { body } : {}),
      });
      const text = await answer.text();
      expect(answer.status).toBeWithin(200, 500);
      expect(text).not.toContain('.ts:');
      if (answer.status >= 400 && method !== 'HEAD') {
        refusal.parse(JSON.parse(text));
      }
    }),
    { numRuns: 2000 },
  );
}, 60_000);
