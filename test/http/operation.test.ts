import { expect, test } from 'bun:test';
import { z } from 'zod';
import { digestOf, freshBytes, imageOf } from './content.ts';
import { RawRequest } from '../server/raw-request.ts';
import { until } from '../server/until.ts';
import { StartupError } from '../../src/startup-error.ts';
import { ServedRegistry } from './served-registry.ts';

/** The value of a metric: its name with its labels, as it stands in a line. */
async function metric(registry: ServedRegistry, name: string): Promise<number | undefined> {
  const text = await (await registry.send('/metrics')).text();
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length + 1));
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return error;
  }
}

test('tells probes that it lives and is ready', async () => {
  await using registry = await ServedRegistry.start();
  for (const path of ['/healthz', '/readyz']) {
    expect((await registry.send(path)).status).toBe(200);
    expect((await registry.send(path, { method: 'HEAD' })).status).toBe(200);
    expect((await registry.send(path, { method: 'POST' })).status).toBe(404);
  }
});

test('counts requests, bytes and what it holds', async () => {
  await using registry = await ServedRegistry.start();
  const config = freshBytes(1000);
  const digest = await registry.pushBlob('a', config);
  const manifest = JSON.stringify(imageOf(config));
  await registry.putManifest('a', 'x', manifest);
  await registry.send('/v2/a/blobs/uploads/', { method: 'POST' });
  for (const reference of ['x', digestOf(manifest)]) await registry.send(`/v2/a/manifests/${reference}`);
  await registry.send('/v2/a/manifests/unknown');
  await registry.send(`/v2/a/blobs/${digest}`);
  await registry.send(`/v2/a/blobs/${digest}`, { headers: { range: 'bytes=0-9' } });

  const answer = await registry.send('/metrics');
  expect(answer.headers.get('content-type')).toStartWith('text/plain; version=0.0.4');
  const counted = {
    'wherry_http_requests_total{route="manifest",method="GET",status="200"}': 2,
    'wherry_http_requests_total{route="manifest",method="GET",status="404"}': 1,
    'wherry_http_requests_total{route="manifest",method="PUT",status="201"}': 1,
    'wherry_http_requests_total{route="uploads",method="POST",status="201"}': 1,
    'wherry_http_requests_total{route="uploads",method="POST",status="202"}': 1,
    'wherry_http_request_duration_seconds_count{route="manifest",method="GET"}': 3,
    wherry_pushed_bytes_total: 1000 + manifest.length,
    wherry_pulled_bytes_total: 2 * manifest.length + 1000 + 10,
    wherry_open_uploads: 1,
    wherry_blobs: 1,
    wherry_blob_bytes: 1000,
  };
  const seen: Record<string, number | undefined> = {};
  for (const name of Object.keys(counted)) seen[name] = await metric(registry, name);
  expect(seen).toEqual(counted);
  expect(await metric(registry, 'wherry_disk_free_bytes')).toBeGreaterThan(0);
  expect(await metric(registry, 'wherry_database_bytes')).toBeGreaterThan(0);
});

test('does not let a client make up new time series', async () => {
  await using registry = await ServedRegistry.start();
  for (const method of ['REPORT', 'PROPFIND', 'SEARCH']) await registry.send(`/v2/a/tags/list`, { method });
  const text = await (await registry.send('/metrics')).text();
  expect(text).not.toContain('PROPFIND');
  expect(await metric(registry, 'wherry_http_requests_total{route="tags",method="other",status="405"}')).toBe(3);
});

test('refuses a port that is in use, and says which', async () => {
  await using registry = await ServedRegistry.start();
  const error = await failureOf(ServedRegistry.start({ listen: registry.host }));
  expect(error).toBeInstanceOf(StartupError);
  expect(String(error)).toContain(String(registry.port));
});

test('keeps what it has over an orderly stop', async () => {
  await using registry = await ServedRegistry.start();
  const config = freshBytes();
  await registry.pushBlob('a', config);
  await registry.putManifest('a', 'x', imageOf(config));
  await registry.stop();
  await registry.resume();
  expect((await registry.send('/v2/a/manifests/x')).status).toBe(200);
  expect(registry.logged).toEqual([]);
});

const requestLine = z.looseObject({ msg: z.string(), requestId: z.string(), method: z.string(), status: z.number() });

/** What the log says of the requests of some traffic: a pull, a change, a refusal and a HEAD that finds nothing. */
async function loggedWith(requests: string, headers: Readonly<Record<string, string>> = {}) {
  const trust = { 'http.trustedProxies': '127.0.0.1' };
  await using registry = await ServedRegistry.start({ 'log.level': 'info', 'log.requests': requests, ...trust });
  const ids = new Map<string, string>();
  for (const [method, path] of [
    ['GET', '/v2/'],
    ['POST', '/v2/a/blobs/uploads/'],
    ['GET', '/v2/a/manifests/x'],
    ['HEAD', '/v2/a/manifests/x'],
  ] as const) {
    const answer = await registry.send(path, { method, headers });
    ids.set(answer.headers.get('x-request-id') ?? '', `${method} ${path} ${answer.status}`);
  }
  const lines = registry.logged
    .map((line) => requestLine.parse(JSON.parse(line)))
    .filter((line) => line.msg === 'request');
  for (const line of lines)
    expect(ids.get(line.requestId)).toBe(`${line.method} ${String(line['path'])} ${line.status}`);
  return lines;
}

test('logs every request, or changes, or errors, under the id that its answer carries', async () => {
  const seen = async (requests: string) =>
    (await loggedWith(requests)).map(({ method, status }) => `${method} ${status}`);
  expect(await seen('all')).toEqual(['GET 200', 'POST 202', 'GET 404', 'HEAD 404']);
  expect(await seen('changes')).toEqual(['POST 202', 'GET 404']);
  expect(await seen('errors')).toEqual(['GET 404']);
});

test('logs who has asked, from where and for how long', async () => {
  const headers = { 'x-forwarded-for': '6.6.6.6, 192.0.2.9', 'user-agent': 'client/1' };
  const [line] = await loggedWith('all', headers);
  expect(line).toMatchObject({ path: '/v2/', client: '192.0.2.9', userAgent: 'client/1' });
  expect(line?.['durationMs']).toBeNumber();
});

test('logs who was sending, also where the client has gone', async () => {
  await using registry = await ServedRegistry.start({ 'log.level': 'info' });
  const opened = await registry.send('/v2/a/blobs/uploads/', { method: 'POST' });
  const session = opened.headers.get('location') ?? '';
  const request = await RawRequest.open(registry.host, 'PATCH', session, { 'content-length': '1000' });
  await request.write('the first bytes');
  request.destroy();
  const lines = () => registry.logged.map((line) => requestLine.parse(JSON.parse(line)));
  await until('the request is logged', () => lines().some(({ method }) => method === 'PATCH'));
  expect(lines().at(-1)).toMatchObject({ method: 'PATCH', path: session, status: 400, client: '127.0.0.1' });
});

test('writes the times of pulls now and then', async () => {
  await using registry = await ServedRegistry.start({ 'pulls.flush': '10ms' });
  const config = freshBytes();
  await registry.pushBlob('a', config);
  await registry.putManifest('a', 'x', imageOf(config));
  await (await registry.send('/v2/a/manifests/x')).bytes();
  const pulledAt = () => registry.rows('select last_pulled_at from tag where last_pulled_at is not null');
  await until('the time of the pull is written', () => pulledAt().length > 0);
  expect(pulledAt()).toEqual([{ last_pulled_at: registry.clock.now() }]);
});

test('counts requests under the routes that they took, and their time', async () => {
  await using registry = await ServedRegistry.start();
  const digest = digestOf('absent');
  const routes = {
    ping: '/v2/',
    catalog: '/v2/_catalog',
    tags: '/v2/a/tags/list',
    referrers: `/v2/a/referrers/${digest}`,
    blob: `/v2/a/blobs/${digest}`,
    upload: '/v2/a/blobs/uploads/none',
    healthz: '/healthz',
    readyz: '/readyz',
    unknown: '/elsewhere',
  };
  for (const path of Object.values(routes)) await registry.send(path);
  const text = await (await registry.send('/metrics')).text();
  for (const route of Object.keys(routes)) {
    expect(text).toMatch(
      new RegExp(`^wherry_http_requests_total\\{route="${route}",method="GET",status="\\d+"\\} 1$`, 'm'),
    );
    const bucket = `wherry_http_request_duration_seconds_bucket{le="+Inf",route="${route}",method="GET"} 1`;
    expect(text).toContain(bucket);
  }
});
