import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Client } from 'pg';
import { directoryCalls } from '../../src/blobs/directory/calls.ts';
import type { RunningServer } from '../../src/server/server.ts';
import type { Syncs } from '../../src/stores/syncs.ts';
import { digestOf, freshBytes } from '../http/content.ts';
import { PostgresTables } from '../pairs/tables.ts';
import { startQuietServer } from '../server/quiet-server.ts';
import { slowBody } from '../server/slow-body.ts';
import { TemporaryDirectory } from '../server/temporary-directory.ts';
import { until } from '../server/until.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres });

let directory: TemporaryDirectory;
let metadata: string;
let one: RunningServer;
let two: RunningServer;

beforeEach(async () => {
  directory = new TemporaryDirectory('two');
  metadata = await storage.postgres.newDatabase();
  one = await serve();
  two = await serve();
});

afterEach(async () => {
  await Promise.all([one.stop(), two.stop()]);
  directory[Symbol.dispose]();
});

/** A server as one of several that share a database and a directory of blobs. */
async function serve(settings: Readonly<Record<string, string>> = {}, syncs?: Syncs): Promise<RunningServer> {
  return await startQuietServer(
    {
      data: directory.path,
      metadata,
      'windows.condemned': '0',
      'windows.lease': '0',
      'windows.trash': '0',
      'windows.neverTagged': '0',
      ...settings,
    },
    syncs,
  );
}

/** Both anew: what has come in does not go before it is asked for again. */
async function serveWithLeases(): Promise<void> {
  await Promise.all([one.stop(), two.stop()]);
  [one, two] = [await serve({ 'windows.lease': '1h' }), await serve({ 'windows.lease': '1h' })];
}

test('one that does not collect says so, and the other collects what it has deleted', async () => {
  await two.stop();
  two = await serve({ 'collector.run': 'off' });
  const pushed = await send(two, `/v2/app/blobs/uploads/?digest=${digestOf('gone soon')}`, {
    method: 'POST',
    body: 'gone soon',
  });
  expect(pushed.status).toBe(201);
  const told = await send(two, '/admin/v1/collector', {
    headers: { authorization: `Bearer ${await operatorToken()}` },
  });
  expect(await told.json()).toMatchObject({ state: 'elsewhere' });
  await until('the other has collected it', () => objects().length === 0);
});

test('a copy of the database is not said to be in place while processes go on with what was there before', async () => {
  const command = [
    process.execPath,
    'src/main.ts',
    'restore',
    '--in-place',
    '--data',
    join(directory.path, 'elsewhere'),
    '--metadata',
    metadata,
  ];
  const restored = () => Bun.spawn(command, { stdout: 'ignore', stderr: 'pipe' });
  const refused = restored();
  expect(await refused.exited).toBe(1);
  expect(await refused.stderr.text()).toContain('stop all of them first (one from 127.0.0.1');
  await Promise.all([one.stop(), two.stop()]);
  expect(await restored().exited).toBe(0);
  [one, two] = [await serve(), await serve()];
});

/** Of the process that has started last. */
async function operatorToken(): Promise<string> {
  return (await Bun.file(join(directory.path, 'admin.token')).text()).trim();
}

async function send(server: RunningServer, path: string, init: RequestInit = {}): Promise<Response> {
  return await fetch(new URL(path, server.url), init);
}

async function openSession(): Promise<string> {
  const opened = await send(one, '/v2/app/blobs/uploads/', { method: 'POST' });
  expect(opened.status).toBe(202);
  return opened.headers.get('location') ?? '';
}

/** How many writers a session has had. */
async function epochOf(session: string): Promise<number | undefined> {
  const client = new Client({ connectionString: metadata });
  await client.connect();
  const { rows } = await client.query<{ epoch: string }>('select epoch from upload where id = $1', [basename(session)]);
  await client.end();
  return Number(rows[0]?.epoch);
}

function objects(): readonly string[] {
  return readdirSync(join(directory.path, 'objects'), { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.includes('/'),
  );
}

function sizes(): readonly number[] {
  return objects().map((path) => statSync(join(directory.path, 'objects', path), { throwIfNoEntry: false })?.size ?? 0);
}

describe('an upload whose requests come to different processes', () => {
  test('is whole, and leaves one file', async () => {
    await serveWithLeases();
    const bytes = freshBytes(300_000);
    const session = await openSession();
    for (let first = 0, turn = 0; first < bytes.byteLength; first += 50_000, turn++) {
      const chunk = bytes.subarray(first, first + 50_000);
      const range = { 'content-range': `${first}-${first + chunk.byteLength - 1}` };
      const answer = await send(turn % 2 === 0 ? two : one, session, { method: 'PATCH', headers: range, body: chunk });
      expect(answer.status).toBe(202);
    }
    const closed = await send(two, `${session}?digest=${digestOf(bytes)}`, { method: 'PUT' });
    expect(closed.status).toBe(201);
    const pulled = await send(one, `/v2/app/blobs/${digestOf(bytes)}`);
    expect(digestOf(new Uint8Array(await pulled.arrayBuffer()))).toBe(digestOf(bytes));
    await until('copies are removed', () => objects().length === 1);
  });

  test('gets nothing of what a writer of one process still writes when another one has gone on (R31)', async () => {
    await serveWithLeases();
    const bytes = freshBytes(200_000);
    const session = await openSession();
    expect((await send(one, session, { method: 'PATCH', body: bytes.subarray(0, 100_000) })).status).toBe(202);
    const stalled = slowBody(freshBytes(10_000), freshBytes(150_000));
    const overtaken = send(one, session, { method: 'PATCH', body: stalled.body });
    await until('the first writer is at work', async () => (await epochOf(session)) === 2);
    const rest = await send(two, session, { method: 'PATCH', body: bytes.subarray(100_000) });
    expect(rest.status).toBe(202);
    const closed = await send(two, `${session}?digest=${digestOf(bytes)}`, { method: 'PUT' });
    expect(closed.status).toBe(201);
    stalled.goOn();
    expect((await overtaken).status).not.toBe(202);
    const pulled = await send(one, `/v2/app/blobs/${digestOf(bytes)}`);
    expect(digestOf(new Uint8Array(await pulled.arrayBuffer()))).toBe(digestOf(bytes));
  });

  test('loses nothing of what one process writes when another one that it has overtaken finds the disk full (R31)', async () => {
    await Promise.all([one.stop(), two.stop()]);
    // Else it may be collected before it is pulled.
    two = await serve({ 'windows.lease': '1h' });
    let isFull = false;
    const write = (sink: Bun.FileSink, chunk: Uint8Array): number | Promise<number> => {
      if (isFull) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
      return directoryCalls.write(sink, chunk);
    };
    one = await serve({}, { database: {}, blobs: { write } });
    const bytes = freshBytes(6_000_000);
    const session = await openSession();
    const closing = `${session}?digest=${digestOf(bytes)}`;
    const overtaken = slowBody(freshBytes(10), freshBytes(10));
    const refused = send(one, closing, { method: 'PUT', body: overtaken.body });
    await until('the first is at work', async () => (await epochOf(session)) === 1);
    const going = slowBody(bytes.subarray(0, 3_000_000), bytes.subarray(3_000_000));
    const closed = send(two, closing, { method: 'PUT', body: going.body });
    await until('the second writes', () => sizes().some((size) => size > 1_000_000));
    isFull = true;
    overtaken.goOn();
    expect((await refused).status).toBe(416);
    going.goOn();
    expect((await closed).status).toBe(201);
    const pulled = await send(two, `/v2/app/blobs/${digestOf(bytes)}`);
    expect(digestOf(new Uint8Array(await pulled.arrayBuffer()))).toBe(digestOf(bytes));
  });

  test('is not given up while it takes long to copy what it has for the process that goes on', async () => {
    await two.stop();
    const copied = Promise.withResolvers<void>();
    const copy = async (from: string, to: string): Promise<void> => {
      await copied.promise;
      await directoryCalls.copy(from, to);
    };
    two = await serve({ 'windows.upload': '1s' }, { database: {}, blobs: { copy } });
    const bytes = freshBytes(2000);
    const session = await openSession();
    expect((await send(one, session, { method: 'PATCH', body: bytes.subarray(0, 10) })).status).toBe(202);
    const stalled = slowBody(bytes.subarray(10, 20), bytes.subarray(20, 30));
    const overtaken = send(one, session, { method: 'PATCH', body: stalled.body });
    await until('the first is at work', async () => (await epochOf(session)) === 2);
    const pushed = send(two, `${session}?digest=${digestOf(bytes)}`, { method: 'PUT', body: bytes.subarray(10) });
    const dueAt = () =>
      PostgresTables.at(metadata).rows<{ due: number }>(`select max(due_at) as due from task where kind = 'object'`)[0]
        ?.due ?? 0;
    await until('it is being copied', () => dueAt() > 0);
    const first = dueAt();
    await until('it is looked at later', () => dueAt() > first);
    copied.resolve();
    expect((await pushed).status).toBe(201);
    stalled.goOn();
    await overtaken;
  });

  test('is not ended by a writer that another process has overtaken, whatever that has come to (R31)', async () => {
    await serveWithLeases();
    const bytes = freshBytes(2000);
    const session = await openSession();
    expect((await send(one, session, { method: 'PATCH', body: bytes })).status).toBe(202);
    const slow = slowBody(freshBytes(10), freshBytes(10));
    const wrong = send(one, `${session}?digest=${digestOf('something else')}`, { method: 'PUT', body: slow.body });
    await until('the first is at work', async () => (await epochOf(session)) === 2);
    const closing = `${session}?digest=${digestOf(bytes)}`;
    expect((await send(two, closing, { method: 'PUT' })).status).toBe(201);
    slow.goOn();
    expect([404, 416]).toContain((await wrong).status);
    // Repeated as after a lost answer (R30).
    for (const server of [one, two]) expect((await send(server, closing, { method: 'PUT' })).status).toBe(201);
  });
});
