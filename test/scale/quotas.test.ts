import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { z } from 'zod';
import { Client } from 'pg';
import { createLog, type Log } from '../../src/log/log.ts';
import { PostgresMetadataStore } from '../../src/metadata/postgres/store.ts';
import { QuotaCounter } from '../../src/quotas/counter.ts';
import { putInForce } from '../../src/quotas/in-force.ts';
import { QuotaSet } from '../../src/quotas/quota-set.ts';
import { type RunningServer, startServer } from '../../src/server/server.ts';
import { SeededRandom } from '../../src/storm/seeded-random.ts';
import { digestOf, freshBytes, imageOf, ociManifest } from '../http/content.ts';
import { PostgresTables } from '../pairs/tables.ts';
import { configFrom } from '../server/config-from.ts';
import { logOfErrors } from '../server/quiet-server.ts';
import { TemporaryDirectory } from '../server/temporary-directory.ts';
import { until } from '../server/until.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';

// Processes that were started with different quotas, as while those of one are being rolled out, and share a registry.

const storage = new StorageServers({ postgres: startPostgres });

let directory: TemporaryDirectory;
let metadata: string;
const running: RunningServer[] = [];
/** Of their operators: the file has that of the one that has started last. */
const tokens = new Map<RunningServer, string>();

beforeEach(async () => {
  directory = new TemporaryDirectory('quotas');
  metadata = await storage.postgres.newDatabase();
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop()));
  directory[Symbol.dispose]();
});

function setOf(quotas: readonly object[]): QuotaSet {
  const parsed = QuotaSet.parse(quotas);
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
  return parsed.set;
}

async function serve(
  quotas: readonly object[],
  settings: Readonly<Record<string, string>> = {},
  log?: Log,
): Promise<RunningServer> {
  const server = await startServer({
    config: await configFrom({
      listen: '127.0.0.1:0',
      data: directory.path,
      metadata,
      'windows.condemned': '0',
      // A blob stays until its manifest comes.
      'windows.lease': '5s',
      'windows.trash': '0',
      'windows.neverTagged': '0',
      ...settings,
    }),
    log: log ?? (await logOfErrors()),
    quotas: quotas.length === 0 ? undefined : setOf(quotas),
  });
  running.push(server);
  tokens.set(server, (await Bun.file(join(directory.path, 'admin.token')).text()).trim());
  return server;
}

const notCollecting = { 'collector.run': 'off' };

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('there is no such thing');
  return value;
}

async function send(server: RunningServer, path: string, init: RequestInit = {}): Promise<Response> {
  return await fetch(new URL(path, server.url), init);
}

async function pushBlob(server: RunningServer, repo: string, bytes: Uint8Array): Promise<Response> {
  return await send(server, `/v2/${repo}/blobs/uploads/?digest=${digestOf(bytes)}`, { method: 'POST', body: bytes });
}

/** Pushes an image of one blob. */
async function pushImage(server: RunningServer, repo: string, tag: string, bytes = freshBytes(100)): Promise<void> {
  expect((await pushBlob(server, repo, bytes)).status).toBe(201);
  expect((await putManifest(server, repo, tag, bytes)).status).toBe(201);
}

async function putManifest(server: RunningServer, repo: string, tag: string, bytes: Uint8Array): Promise<Response> {
  return await send(server, `/v2/${repo}/manifests/${tag}`, {
    method: 'PUT',
    headers: { 'content-type': ociManifest },
    body: JSON.stringify(imageOf(bytes)),
  });
}

/** A push of an image, which may be refused, or that its tag goes. */
async function pushOrDelete(server: RunningServer, repo: string, tag: string): Promise<void> {
  const gone = await send(server, `/v2/${repo}/manifests/${tag}`, { method: 'DELETE' });
  if (gone.status === 202) return;
  const bytes = freshBytes(20);
  const statuses = [(await pushBlob(server, repo, bytes)).status];
  if (statuses[0] === 201) statuses.push((await putManifest(server, repo, tag, bytes)).status);
  // Nothing keeps a blob until its manifest comes but luck, here.
  expect([201, 403, 404]).toContain(statuses.at(-1) ?? 0);
}

async function deleteTag(server: RunningServer, repo: string, tag: string): Promise<void> {
  expect((await send(server, `/v2/${repo}/manifests/${tag}`, { method: 'DELETE' })).status).toBe(202);
}

async function asOperator(server: RunningServer, method: string, path: string): Promise<Response> {
  const token = tokens.get(server) ?? '';
  return await send(server, `/admin/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    ...(method === 'POST' && { body: '{}' }),
  });
}

/** What quotas count that fsck finds wrong. */
async function miscounted(server: RunningServer): Promise<readonly string[]> {
  const lines = (await (await asOperator(server, 'POST', '/fsck')).text()).trim().split('\n');
  const finding = z.object({ finding: z.object({ code: z.string(), about: z.string() }) });
  return lines.flatMap((line) => {
    const { data } = finding.safeParse(JSON.parse(line));
    return data?.finding.code === 'F15' ? [data.finding.about] : [];
  });
}

interface Counted {
  readonly name: string;
  readonly bytes: number;
  readonly tags: number;
}

/** What each quota in force counts, all repositories together. */
function counted(): readonly Counted[] {
  return PostgresTables.at(metadata)
    .rows<{ settings: string; bytes: number | null; tags: number | null }>(
      `select settings, sum(bytes) as bytes, sum(tags) as tags from quota
         left join quota_usage on quota_usage.quota = quota.number
         where position is not null group by quota.number, settings, position order by position`,
    )
    .map(({ settings, bytes, tags }) => ({
      name: z.object({ name: z.string() }).parse(JSON.parse(settings)).name,
      bytes: bytes ?? 0,
      tags: tags ?? 0,
    }));
}

function links(): number {
  return PostgresTables.at(metadata).rows('select 1 from link').length;
}

const ofA = { name: 'A', repositories: 'a/**', bytes: { hard: '250B' }, tags: { hard: 10 } };
const ofB = { name: 'B', repositories: 'b/**', bytes: { hard: '250B' }, tags: { hard: 10 } };

const ofAll = { name: 'all', repositories: '**', each: true, bytes: { soft: '1B', hard: '1GB' } };

describe('while processes with different quotas serve', () => {
  test('what one pushes and another removes is counted by the same quota', async () => {
    const old = await serve([ofA], notCollecting);
    await pushImage(old, 'a/x', 'before');
    const started = await serve([ofB, ofA]);
    await started.quotas.counted();
    await pushImage(old, 'a/x', 'since');
    await pushImage(old, 'b/x', 'since');
    expect(counted()).toEqual([
      { name: 'B', bytes: 100, tags: 1 },
      { name: 'A', bytes: 200, tags: 2 },
    ]);
    expect(await miscounted(started)).toEqual([]);
    await deleteTag(started, 'a/x', 'since');
    await deleteTag(old, 'b/x', 'since');
    await until('what is deleted is collected', () => links() === 1);
    expect(counted()).toEqual([
      { name: 'B', bytes: 0, tags: 0 },
      { name: 'A', bytes: 100, tags: 1 },
    ]);
    expect(await miscounted(started)).toEqual([]);
  });

  test('one that has none counts by those of the other, and refuses by them', async () => {
    const old = await serve([], notCollecting);
    await pushImage(old, 'a/x', 'before');
    const started = await serve([ofA]);
    await started.quotas.counted();
    await pushImage(old, 'a/x', 'since');
    expect(counted()).toEqual([{ name: 'A', bytes: 200, tags: 2 }]);
    const refused = await pushBlob(old, 'a/x', freshBytes(100));
    expect(refused.status).toBe(403);
    expect(await refused.text()).toContain('the quota A allows 250B of blobs, and has 200 bytes');
    expect(await miscounted(started)).toEqual([]);
  });

  test('those that another one has put in force, and not counted before it was gone, are counted by those that go on', async () => {
    const old = await serve([], notCollecting);
    await pushImage(old, 'a/x', 'before');
    const gone = await PostgresMetadataStore.open(metadata);
    await putInForce(gone, setOf([ofA]));
    await gone.close();
    await pushImage(old, 'a/x', 'since');
    await until('they are counted', () => counted()[0]?.bytes === 200);
    expect((await pushBlob(old, 'a/x', freshBytes(100))).status).toBe(403);
  });

  test('one that has some neither counts nor refuses by what is no quota any more', async () => {
    const old = await serve([ofA], notCollecting);
    await pushImage(old, 'a/x', 'before');
    const started = await serve([ofB]);
    await started.quotas.counted();
    await pushImage(old, 'a/x', 'since');
    expect((await pushBlob(old, 'a/x', freshBytes(100))).status).toBe(201);
    expect(counted()).toEqual([{ name: 'B', bytes: 0, tags: 0 }]);
    expect(await miscounted(started)).toEqual([]);
  });

  test('all show the same of how they stand', async () => {
    const old = await serve([ofA], notCollecting);
    const started = await serve([ofB, { ...ofA, bytes: { hard: '1kB' } }]);
    await started.quotas.counted();
    await pushImage(old, 'a/x', 'since');
    const shown = await Promise.all(
      [old, started].map(async (server) => await (await asOperator(server, 'GET', '/quotas')).json()),
    );
    expect(shown[0]).toEqual(shown[1]);
    expect(shown[0]).toMatchObject({ quotas: [{ quota: 'B' }, { quota: 'A', bytes: { used: 100, hard: 1000 } }] });
    const metrics = await (await send(old, '/metrics')).text();
    expect(metrics).toContain('wherry_quota_limit{quota="A",kind="bytes",limit="hard"} 1000');
  });

  test('what is used up by what was in force before is not refused any more', async () => {
    const old = await serve([ofA], notCollecting);
    await pushImage(old, 'a/x', 'before', freshBytes(200));
    for (let times = 0; times < 2; times++) expect((await pushBlob(old, 'a/x', freshBytes(100))).status).toBe(403);
    const started = await serve([{ ...ofA, bytes: { hard: '1kB' } }]);
    await started.quotas.counted();
    expect((await pushBlob(old, 'a/x', freshBytes(100))).status).toBe(201);
  });

  test('who changes them beside processes of an earlier version is told that the counts have to be put right', async () => {
    const logged: string[] = [];
    const stream = { write: (line: string) => void logged.push(line) };
    const log = await createLog({ level: 'warn', format: 'json', stream });
    await serve([ofA]);
    const older = new Client({ connectionString: metadata, application_name: 'wherry/26' });
    await older.connect();
    try {
      await serve([ofA], {}, log);
      expect(logged.join()).not.toContain('quotas');
      await serve([ofB], {}, log);
      expect(logged.join()).toContain('processes of an earlier version go on counting by theirs');
    } finally {
      await older.end();
    }
  });

  test('each says which ones count where those are others than its own', async () => {
    const logged: string[] = [];
    const stream = { write: (line: string) => void logged.push(line) };
    const old = await serve([ofA], {}, await createLog({ level: 'info', format: 'json', stream }));
    await serve([ofB, ofA]);
    await pushImage(old, 'a/x', 'since');
    await until('it is said', () => logged.some((line) => line.includes('has put other quotas in force')));
    expect(logged.find((line) => line.includes('other quotas'))).toContain('"quotas":["B","A"]');
  });

  test('what is counted is right, however pushes and deletes come to them while one set takes the place of another', async () => {
    const noLease = { 'windows.lease': '0' };
    const servers = [await serve([ofA], { ...notCollecting, ...noLease }), await serve([ofB, ofA], noLease)];
    const store = await PostgresMetadataStore.open(metadata);
    const counter = new QuotaCounter({ metadata: store, log: await logOfErrors() });
    const sets = [[ofB, ofA], [ofAll, ofA], [ofA], [ofAll]].map((given) => setOf(given));
    const load = { done: 0, isOver: false };
    const random = new SeededRandom(1);
    const client = async (name: number): Promise<void> => {
      while (!load.isOver) {
        const server = known(random.pick(servers));
        await pushOrDelete(server, known(random.pick(['a/x', 'b/x', 'c'])), `t${name}-${random.between(0, 2)}`);
        load.done++;
      }
    };
    const clients = [1, 2, 3, 4].map((name) => client(name));
    for (let round = 0; round < 12; round++) {
      await putInForce(store, sets[round % sets.length]);
      counter.start();
      const before = load.done;
      await (round % 2 === 0 ? counter.counted() : until('it goes on', () => load.done > before + 10));
    }
    load.isOver = true;
    await Promise.all(clients);
    await counter.counted();
    await counter.stop();
    await store.close();
    expect(await Promise.all(servers.map((server) => miscounted(server)))).toEqual([[], []]);
    expect(counted().reduce((sum, { bytes }) => sum + bytes, 0)).toBeGreaterThan(0);
  });
});
