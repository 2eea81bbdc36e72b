import { afterEach, beforeEach, expect, test } from 'bun:test';
import { z } from 'zod';
import type { RunningServer } from '../../src/server/server.ts';
import { digestOf, imageOf, ociManifest } from '../http/content.ts';
import { startQuietServer } from '../server/quiet-server.ts';
import { TemporaryDirectory } from '../server/temporary-directory.ts';
import { until } from '../server/until.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres });

let directory: TemporaryDirectory;
let server: RunningServer;

beforeEach(async () => {
  directory = new TemporaryDirectory('away');
  server = await startQuietServer({ data: directory.path, metadata: await storage.postgres.newDatabase() });
});

afterEach(async () => {
  await server.stop();
  directory[Symbol.dispose]();
});

async function send(method: string, path: string, init: RequestInit = {}): Promise<Response> {
  return await fetch(new URL(path, server.url), { ...init, method });
}

async function statusOf(path: string): Promise<number> {
  return (await send('GET', path)).status;
}

const blob = 'a layer that is there';
const config = 'a configuration';
const image = JSON.stringify(imageOf(Buffer.from(config), Buffer.from(blob)));
const upload = Buffer.from('a layer that comes in two pieces');
const firstBytes = 10;

async function pushImage(): Promise<void> {
  for (const each of [blob, config]) {
    await send('POST', `/v2/app/blobs/uploads/?digest=${digestOf(each)}`, { body: each });
  }
  const headers = { 'content-type': ociManifest };
  expect((await send('PUT', '/v2/app/manifests/v1', { headers, body: image })).status).toBe(201);
}

/** Opens a session and sends the first bytes to it. @returns its location */
async function beginUpload(): Promise<string> {
  const opened = await send('POST', '/v2/app/blobs/uploads/');
  const location = opened.headers.get('location') ?? '';
  expect((await send('PATCH', location, { body: upload.subarray(0, firstBytes) })).status).toBe(202);
  return location;
}

const errors = z.object({ errors: z.tuple([z.object({ code: z.string(), message: z.string() })]) });

/** Each is told to come back, and why. */
async function expectRefused(name: string, answer: Response): Promise<void> {
  expect(`${name}: ${answer.status}`).toBe(`${name}: 503`);
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
  const text = await answer.text();
  if (name.startsWith('HEAD')) return;
  const [error] = errors.parse(JSON.parse(text)).errors;
  expect(error.code).toBe('UNAVAILABLE');
  expect(error.message).toMatch(/^the database (cannot be reached|cannot answer now).*try again/);
}

test('while the database is away requests are refused until it is back, readiness says so, and an upload goes on after it', async () => {
  const location = await beginUpload();
  // What is promised takes to the database's disk what was written before it and is not.
  await pushImage();
  const rest = upload.subarray(firstBytes);
  const requests: Readonly<Record<string, () => Promise<Response>>> = {
    'GET manifest': () => send('GET', '/v2/app/manifests/v1'),
    'HEAD manifest': () => send('HEAD', '/v2/app/manifests/v1'),
    'GET blob': () => send('GET', `/v2/app/blobs/${digestOf(blob)}`),
    'HEAD blob': () => send('HEAD', `/v2/app/blobs/${digestOf(blob)}`),
    'GET tags': () => send('GET', '/v2/app/tags/list'),
    'POST upload': () => send('POST', '/v2/app/blobs/uploads/'),
    'PATCH upload': () => send('PATCH', location, { body: rest }),
    'PUT upload': () => send('PUT', `${location}?digest=${digestOf(upload)}`, { body: rest }),
    'PUT manifest': () =>
      send('PUT', '/v2/app/manifests/v2', { headers: { 'content-type': ociManifest }, body: image }),
    'DELETE tag': () => send('DELETE', '/v2/app/manifests/v1'),
    'DELETE blob': () => send('DELETE', `/v2/app/blobs/${digestOf(blob)}`),
  };

  await storage.postgres.halt();
  expect(await statusOf('/readyz')).toBe(503);
  expect(await statusOf('/healthz')).toBe(200);
  for (const [name, request] of Object.entries(requests)) await expectRefused(name, await request());
  // All at once as well, of which at most one tries to connect.
  const many = Object.entries(requests).flatMap(([name, request]) =>
    [0, 1, 2].map(async () => ({ name, answer: await request() })),
  );
  for (const { name, answer } of await Promise.all(many)) await expectRefused(name, answer);

  await storage.postgres.goOn();
  await until('it is ready', async () => (await statusOf('/readyz')) === 200);
  const got = await send('GET', '/v2/app/manifests/v1');
  expect([got.status, await got.text()]).toEqual([200, image]);
  expect(await (await send('GET', '/v2/app/tags/list')).json()).toEqual({ name: 'app', tags: ['v1'] });
  expect((await send('HEAD', `/v2/app/blobs/${digestOf(blob)}`)).status).toBe(200);
  const status = await send('GET', location);
  expect([status.status, status.headers.get('range')]).toEqual([204, `0-${firstBytes - 1}`]);
  const range = { 'content-range': `${firstBytes}-${upload.length - 1}` };
  expect((await send('PATCH', location, { headers: range, body: rest })).status).toBe(202);
  expect((await send('PUT', `${location}?digest=${digestOf(upload)}`)).status).toBe(201);
  expect(await (await send('GET', `/v2/app/blobs/${digestOf(upload)}`)).text()).toBe(upload.toString());
}, 60_000);
