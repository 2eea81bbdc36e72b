import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { fdatasync, fdatasyncSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { SqliteMetadataStore } from '../../src/metadata/sqlite/store.ts';
import { QuotaCounter } from '../../src/quotas/counter.ts';
import { putInForce } from '../../src/quotas/in-force.ts';
import { QuotaSet } from '../../src/quotas/quota-set.ts';
import { digestOf, freshBytes, imageOf, ociManifest } from '../http/content.ts';
import { SlowReader } from '../purge/slow-reader.ts';
import { logOfErrors } from '../server/quiet-server.ts';
import { slowBody } from '../server/slow-body.ts';
import { until } from '../server/until.ts';
import { WorkersInProcess } from './workers-in-process.ts';

const squeezed = { 'windows.lease': '5s', 'windows.trash': '0', 'windows.condemned': '0', 'windows.neverTagged': '0' };

async function openSession(workers: WorkersInProcess): Promise<string> {
  const opened = await workers.send(0, '/v2/app/blobs/uploads/', { method: 'POST' });
  expect(opened.status).toBe(202);
  return opened.headers.get('location') ?? '';
}

async function pushImage(workers: WorkersInProcess, index: number, tag: string, layer = freshBytes()) {
  const config = freshBytes();
  for (const blob of [config, layer]) {
    const pushed = await workers.send(index, `/v2/app/blobs/uploads/?digest=${digestOf(blob)}`, {
      method: 'POST',
      body: blob,
    });
    expect(pushed.status).toBe(201);
  }
  const manifest = JSON.stringify(imageOf(config, layer));
  const put = await putManifest(workers, index, tag, manifest);
  expect(put.status).toBe(201);
  return { manifest, digest: digestOf(manifest), layer: digestOf(layer) };
}

async function putManifest(workers: WorkersInProcess, index: number, tag: string, manifest: string): Promise<Response> {
  return await workers.send(index, `/v2/app/manifests/${tag}`, {
    method: 'PUT',
    headers: { 'content-type': ociManifest },
    body: manifest,
  });
}

function rows(workers: WorkersInProcess, sql: string): readonly unknown[] {
  using database = new Database(join(workers.directory, 'wherry.db'), { readonly: true });
  return database.query(sql).all();
}

function epochIn(workers: WorkersInProcess): number | undefined {
  const [upload] = z.array(z.object({ epoch: z.int() })).parse(rows(workers, 'select epoch from upload'));
  return upload?.epoch;
}

test('an upload whose requests come to different workers stays in its one file', async () => {
  await using workers = await WorkersInProcess.start(2);
  const bytes = freshBytes(300_000);
  const session = await openSession(workers);
  const files = new Set<string>();
  for (let first = 0, turn = 0; first < bytes.byteLength; first += 50_000, turn++) {
    const chunk = bytes.subarray(first, first + 50_000);
    const headers = { 'content-range': `${first}-${first + chunk.byteLength - 1}` };
    const answer = await workers.send(turn % 2, session, { method: 'PATCH', headers, body: chunk });
    expect(answer.status).toBe(202);
    for (const file of workers.objects) files.add(file);
  }
  for (const index of [0, 1, 0]) {
    // Repeated as after a lost answer (R30).
    const closed = await workers.send(index, `${session}?digest=${digestOf(bytes)}`, { method: 'PUT' });
    expect(closed.status).toBe(201);
  }
  const pulled = await workers.send(1, `/v2/app/blobs/${digestOf(bytes)}`);
  expect(digestOf(new Uint8Array(await pulled.arrayBuffer()))).toBe(digestOf(bytes));
  expect([...files]).toEqual([...workers.objects]);
});

test('a writer in one worker is ended when another goes on with its upload, and nothing of it is mixed in (R31)', async () => {
  await using workers = await WorkersInProcess.start(2);
  const bytes = freshBytes(200_000);
  const session = await openSession(workers);
  expect((await workers.send(0, session, { method: 'PATCH', body: bytes.subarray(0, 100_000) })).status).toBe(202);
  const stalled = slowBody(freshBytes(10_000), freshBytes(150_000));
  const overtaken = workers.send(0, session, { method: 'PATCH', body: stalled.body });
  await until('the first writer is at work', () => epochIn(workers) === 2);
  const rest = slowBody(bytes.subarray(100_000, 150_000), bytes.subarray(150_000));
  const going = workers.send(1, session, { method: 'PATCH', body: rest.body });
  await until('the second writer is at work', () => epochIn(workers) === 3);
  stalled.goOn();
  expect((await overtaken).status).toBe(416);
  rest.goOn();
  expect((await going).status).toBe(202);
  const closed = await workers.send(1, `${session}?digest=${digestOf(bytes)}`, { method: 'PUT' });
  expect(closed.status).toBe(201);
  const pulled = await workers.send(0, `/v2/app/blobs/${digestOf(bytes)}`);
  expect(digestOf(new Uint8Array(await pulled.arrayBuffer()))).toBe(digestOf(bytes));
  expect(workers.objects).toHaveLength(1);
});

/** Workers of which the first one's syncs of objects wait once they are held. */
async function withHeldSyncs() {
  const held: (() => void)[] = [];
  let isHolding = false;
  const workers = await WorkersInProcess.start(
    2,
    {},
    {
      syncsOf: (index) => ({
        blobs: {
          async syncObject(descriptor) {
            const { promise, resolve } = Promise.withResolvers<void>();
            if (index === 0 && isHolding) {
              held.push(resolve);
              await promise;
            }
            fdatasyncSync(descriptor);
          },
        },
        database: {},
      }),
    },
  );
  return {
    workers,
    held,
    hold: () => {
      isHolding = true;
    },
    release: () => {
      isHolding = false;
      for (const each of held) each();
    },
  };
}

test('an upload that one worker closes while another is asked to cancel it is closed, and its blob stays', async () => {
  const { workers, held, hold, release } = await withHeldSyncs();
  await using _ = workers;
  const bytes = freshBytes(1000);
  const session = await openSession(workers);
  expect((await workers.send(0, session, { method: 'PATCH', body: bytes })).status).toBe(202);
  hold();
  const closing = workers.send(0, `${session}?digest=${digestOf(bytes)}`, { method: 'PUT' });
  await until('its bytes are being synced', () => held.length > 0);
  const cancelling = workers.send(1, session, { method: 'DELETE' });
  // What that worker has been asked later it has answered: it waits for the first.
  for (let asked = 0; asked < 20; asked++) await workers.send(1, '/v2/');
  release();
  expect((await closing).status).toBe(201);
  expect((await cancelling).status).toBe(404);
  const pulled = await workers.send(1, `/v2/app/blobs/${digestOf(bytes)}`);
  expect(digestOf(new Uint8Array(await pulled.arrayBuffer()))).toBe(digestOf(bytes));
});

test('a closing PUT that is repeated at another worker waits for the first, which comes to its end (R30)', async () => {
  const { workers, held, hold, release } = await withHeldSyncs();
  await using _ = workers;
  const bytes = freshBytes(1000);
  const session = await openSession(workers);
  expect((await workers.send(0, session, { method: 'PATCH', body: bytes })).status).toBe(202);
  hold();
  const close = (index: number) => workers.send(index, `${session}?digest=${digestOf(bytes)}`, { method: 'PUT' });
  const closing = close(0);
  await until('its bytes are being synced', () => held.length > 0);
  const repeated = close(1);
  // What that worker has been asked later it has answered: it waits for the first.
  for (let asked = 0; asked < 20; asked++) await workers.send(1, '/v2/');
  expect(epochIn(workers)).toBe(2);
  release();
  expect((await closing).status).toBe(201);
  expect((await repeated).status).toBe(201);
  expect(workers.objects).toHaveLength(1);
});

test('of many who write to one upload in all workers at once, those that are answered well have not disturbed each other', async () => {
  await using workers = await WorkersInProcess.start(3);
  const bytes = freshBytes(90_000);
  for (let round = 0; round < 5; round++) {
    const session = await openSession(workers);
    const puts = Array.from({ length: 9 }, async (_, index) => {
      const answer = await workers.send(index % 3, `${session}?digest=${digestOf(bytes)}`, {
        method: 'PUT',
        body: bytes,
      });
      await answer.bytes();
      return answer.status;
    });
    const statuses = await Promise.all(puts);
    expect(statuses).toContain(201);
    for (const status of statuses) expect([201, 404, 416]).toContain(status);
  }
  const pulled = await workers.send(2, `/v2/app/blobs/${digestOf(bytes)}`);
  expect(digestOf(new Uint8Array(await pulled.arrayBuffer()))).toBe(digestOf(bytes));
  await until('what was pushed twice goes', () => workers.objects.length === 1);
});

test('what one worker has changed every other one shows at once, whatever it remembers', async () => {
  await using workers = await WorkersInProcess.start(3);
  const first = await pushImage(workers, 0, 'latest');
  for (const index of [1, 2]) {
    // Twice, so that it is remembered.
    for (let pulls = 0; pulls < 2; pulls++) {
      const pulled = await workers.send(index, '/v2/app/manifests/latest');
      expect(await pulled.text()).toBe(first.manifest);
    }
  }
  const second = await pushImage(workers, 1, 'latest');
  for (const index of [0, 2]) {
    expect(await (await workers.send(index, '/v2/app/manifests/latest')).text()).toBe(second.manifest);
  }
  expect((await workers.send(2, '/v2/app/manifests/latest', { method: 'DELETE' })).status).toBe(202);
  for (const index of [0, 1]) expect((await workers.send(index, '/v2/app/manifests/latest')).status).toBe(404);
});

test('a worker promises what another has committed only once that is on the disk (I7)', async () => {
  const held: (() => void)[] = [];
  let isHolding = false;
  let syncsOfSecond = 0;
  await using workers = await WorkersInProcess.start(
    2,
    {},
    {
      syncsOf: (index) => ({
        blobs: {},
        database: {
          syncLog(descriptor, done) {
            if (index === 1) syncsOfSecond++;
            if (index === 0 && isHolding) held.push(() => fdatasync(descriptor, done));
            else fdatasync(descriptor, done);
          },
        },
      }),
    },
  );
  const { manifest, digest } = await pushImage(workers, 0, 'one');
  const head = () => workers.send(1, `/v2/app/manifests/${digest}`, { method: 'HEAD' });
  expect((await head()).status).toBe(200);
  isHolding = true;
  const headers = { 'content-type': ociManifest };
  const put = workers.send(0, '/v2/app/manifests/two', { method: 'PUT', headers, body: manifest });
  await until('the second tag is committed', () => held.length > 0);
  const before = syncsOfSecond;
  expect((await workers.send(1, '/v2/app/manifests/two', { method: 'HEAD' })).status).toBe(200);
  expect(syncsOfSecond).toBeGreaterThan(before);
  const after = syncsOfSecond;
  expect((await head()).status).toBe(200);
  expect(syncsOfSecond).toBe(after);
  isHolding = false;
  for (const release of held) release();
  expect((await put).status).toBe(201);
});

test('a purge breaks off what another worker is sending (I11)', async () => {
  await using workers = await WorkersInProcess.start(2);
  const { layer } = await pushImage(workers, 0, 'leaked', freshBytes(64 * 1024 * 1024));
  using pulling = new SlowReader({ origin: workers.originOf(1) }, `/v2/app/blobs/${layer}`);
  await until('it has got something', () => pulling.receivedBytes > 0);
  const purged = await workers.send(0, '/admin/v1/purge', {
    method: 'POST',
    headers: { authorization: `Bearer ${workers.operatorToken}` },
    body: JSON.stringify({ digests: [layer], reason: 'a secret' }),
  });
  const told: unknown = await purged.json();
  expect([purged.status, told]).toEqual([200, expect.anything()]);
  expect(rows(workers, 'select responses_cut from purge')).toEqual([{ responses_cut: 1 }]);
  pulling.readAll();
  await until('it is told that it gets no more', () => pulling.hasEnded);
  expect(pulling.receivedBytes).toBeLessThan(64 * 1024 * 1024);
  expect((await workers.send(1, `/v2/app/blobs/${layer}`)).status).toBe(403);
});

test('what is deleted through any worker is collected, by one of them', async () => {
  await using workers = await WorkersInProcess.start(3, squeezed);
  for (const index of [0, 1, 2]) {
    await pushImage(workers, index, `v${index}`);
    expect((await workers.send(2 - index, `/v2/app/manifests/v${index}`, { method: 'DELETE' })).status).toBe(202);
  }
  await until('all bytes are gone', () => workers.objects.length === 0);
});

test('metrics and the admin API are the same whichever worker is asked', async () => {
  await using workers = await WorkersInProcess.start(3);
  for (const index of [0, 1, 2, 1]) expect((await workers.send(index, '/v2/')).status).toBe(200);
  const headers = { authorization: `Bearer ${workers.operatorToken}` };
  for (const index of [2, 1, 0]) {
    const scraped = await (await workers.send(index, '/metrics', { headers })).text();
    expect(scraped).toContain('wherry_http_requests_total{route="ping",method="GET",status="200"} 4\n');
    expect(scraped).toContain('wherry_http_request_duration_seconds_count{route="ping",method="GET"} 4\n');
    const status = await workers.send(index, '/admin/v1/collector', { headers });
    expect(await status.json()).toMatchObject({ state: 'running' });
  }
  const refused = await workers.send(1, '/admin/v1/collector');
  expect(refused.status).not.toBe(200);
});

test('who is passed on to the worker that answers is named as whoever has asked', async () => {
  await using workers = await WorkersInProcess.start(2);
  await pushImage(workers, 1, 'kept');
  const paused = await workers.send(1, '/admin/v1/collector/pause', {
    method: 'POST',
    headers: { authorization: `Bearer ${workers.operatorToken}`, 'user-agent': 'somebody' },
    body: JSON.stringify({ reason: 'to look at it' }),
  });
  expect(paused.status).toBe(200);
  const events = rows(workers, `select actor from event where kind = 'collector.paused'`);
  expect(JSON.stringify(events)).toContain('127.0.0.1');
  // Nobody else is believed.
  const faked = await workers.send(0, '/admin/v1/collector', { headers: { 'wherry-worker': 'guess e30' } });
  expect(faked.status).not.toBe(200);
});

test('who guesses passwords is slowed down by what all workers have seen', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'wherry-users-'));
  const users = join(directory, 'users');
  writeFileSync(users, `alice:${await Bun.password.hash('right', { algorithm: 'bcrypt', cost: 4 })}\n`);
  await using workers = await WorkersInProcess.start(3, { 'auth.htpasswd': users });
  const logIn = async (index: number, password: string): Promise<number> => {
    const authorization = `Basic ${btoa(`alice:${password}`)}`;
    return (await workers.send(index, '/v2/', { headers: { authorization } })).status;
  };
  for (let guess = 0; guess < 5; guess++) expect(await logIn(guess % 2, `guess ${guess}`)).toBe(401);
  expect((await workers.send(2, '/v2/')).status).toBe(401);
  // It has counted none itself, and lets five go by.
  expect(await logIn(2, 'another guess')).toBe(429);
  rmSync(directory, { recursive: true });
});

test('quotas that a worker puts in force count at all of them, and limit all', async () => {
  await using workers = await WorkersInProcess.start(2, squeezed);
  for (const index of [0, 1]) await pushImage(workers, index, `before${index}`);
  const parsed = QuotaSet.parse([{ name: 'one', repositories: 'app', bytes: { hard: '1GB' }, tags: { hard: 4 } }]);
  // As one that comes in the place of another, with the configuration as it is now.
  const metadata = SqliteMetadataStore.open(workers.directory, {
    shared: { isKeeper: false, onBroken: () => undefined },
  });
  await putInForce(metadata, parsed.ok ? parsed.set : undefined);
  const counter = new QuotaCounter({ metadata, log: await logOfErrors() });
  counter.start();
  await counter.counted();
  await pushImage(workers, 0, 'since0');
  const { manifest } = await pushImage(workers, 1, 'since1');
  for (const index of [0, 1]) {
    const refused = await putManifest(workers, index, 'fifth', manifest);
    expect(await refused.text()).toContain('the quota one allows 4 tags, and has 4 tags');
    await workers.send(index, `/v2/app/manifests/before${1 - index}`, { method: 'DELETE' });
    await pushImage(workers, index, `instead${index}`);
  }
  await until('two images are collected', () => rows(workers, 'select 1 from link').length === 8);
  const found = await workers.send(0, '/admin/v1/fsck', {
    method: 'POST',
    headers: { authorization: `Bearer ${workers.operatorToken}` },
    body: '{}',
  });
  const text = await found.text();
  expect(text).toContain('"counts"');
  expect(text).not.toContain('F15');
  await metadata.close();
});
