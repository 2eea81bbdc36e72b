import { afterEach, beforeEach, expect, test } from 'bun:test';
import { Client } from 'pg';
import type { DiskSpace } from '../../src/bounds/levels.ts';
import type { MetadataStore } from '../../src/metadata/store.ts';
import { parsePolicySet } from '../../src/retention/policy-set.ts';
import type { PolicySet } from '../../src/retention/policy-set.ts';
import { type RunningServer, startServer } from '../../src/server/server.ts';
import { digestOf, freshBytes, imageOf, ociManifest } from '../http/content.ts';
import { StandingStill } from '../metadata/standing-still.ts';
import { PostgresTables } from '../pairs/tables.ts';
import { configFrom } from '../server/config-from.ts';
import { ManualClock } from '../server/manual-clock.ts';
import { logOfErrors } from '../server/quiet-server.ts';
import { TemporaryDirectory } from '../server/temporary-directory.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres });

/** A hundredth of the disk that all servers share, in bytes. */
const percent = 64 * 1024;
const minute = 60_000;
const hour = 60 * minute;
const repo = 'team/app';
const tags = ['one', 'two', 'three', 'four', 'five', 'six'];

let directory: TemporaryDirectory;
let metadata: string;
let tables: PostgresTables;
let clock: ManualClock;
/** What is on the disk and not the registry's. */
let othersBytes: number;
let measureDisk: () => Promise<DiskSpace>;
let policies: PolicySet | undefined;
let serving: Set<RunningServer>;
let standing: StandingStill[];

beforeEach(async () => {
  directory = new TemporaryDirectory('making-room');
  metadata = await storage.postgres.newDatabase();
  tables = PostgresTables.at(metadata);
  clock = new ManualClock();
  othersBytes = 0;
  measureDisk = async () => disk();
  policies = undefined;
  serving = new Set();
  standing = [];
});

afterEach(async () => {
  for (const { goOn } of standing) goOn.resolve();
  await Promise.all([...serving].map(stop));
  directory[Symbol.dispose]();
});

/** One of several servers on the same database and directory, which collects and looks at the disk when the test says so. */
async function serve(wrapMetadata?: (store: MetadataStore) => MetadataStore): Promise<RunningServer> {
  const config = await configFrom({
    data: directory.path,
    metadata,
    listen: '127.0.0.1:0',
    'http.drain': '1s',
    'collector.share': '100',
    'windows.lease': '1h',
    'windows.condemned': '10m',
    'storage.low': '60%',
    'storage.high': '80%',
    'storage.reserve': `${2 * percent}B`,
  });
  const server = await startServer({
    config,
    log: await logOfErrors(),
    clock,
    policies,
    measureDisk: async () => await measureDisk(),
    ...(wrapMetadata !== undefined && { wrapMetadata }),
  });
  server.collector.pause();
  await server.collector.workOff(0);
  await server.storage.stop();
  serving.add(server);
  return server;
}

async function stop(server: RunningServer): Promise<void> {
  serving.delete(server);
  await server.stop();
}

function disk(): DiskSpace {
  const [row] = tables.rows<{ bytes: number }>('select sum(bytes) as bytes from stored');
  const usedBytes = (row?.bytes ?? 0) + othersBytes;
  return { usedBytes, freeBytes: 100 * percent - usedBytes, totalBytes: 100 * percent };
}

/** Pushes an image of so many percent of the disk. */
async function push(server: RunningServer, tag: string, percents: number): Promise<void> {
  const [config, layer] = [freshBytes(), freshBytes(percents * percent)];
  for (const bytes of [config, layer]) {
    const path = `/v2/${repo}/blobs/uploads/?digest=${digestOf(bytes)}`;
    expect((await fetch(server.url + path, { method: 'POST', body: bytes })).status).toBe(201);
  }
  const put = await fetch(`${server.url}/v2/${repo}/manifests/${tag}`, {
    method: 'PUT',
    headers: { 'content-type': ociManifest },
    body: JSON.stringify(imageOf(config, layer)),
  });
  expect(put.status).toBe(201);
  clock.advance(1000);
}

/** Fills three quarters of the disk, of which all but 15 % are in the trash. */
async function fillTrash(server: RunningServer): Promise<void> {
  for (const tag of tags) await push(server, tag, 10);
  await push(server, 'kept', 15);
  for (const tag of tags) {
    const deleted = await fetch(`${server.url}/v2/${repo}/manifests/${tag}`, { method: 'DELETE' });
    expect(deleted.status).toBe(202);
    clock.advance(1000);
  }
}

/** Lets leases end. */
async function leasesEnd(server: RunningServer): Promise<void> {
  clock.advance(2 * hour);
  await collected(server);
}

async function collected(...servers: readonly RunningServer[]): Promise<void> {
  for (const server of servers) await server.collector.workOff();
}

/** Has all look and collect in turn for a while. */
async function looked(...servers: readonly RunningServer[]): Promise<void> {
  for (let time = 0; time < 5; time++) {
    for (const server of servers) {
      await server.storage.look();
      await collected(server);
    }
    clock.advance(1000);
  }
}

function inTrash(): readonly string[] {
  const sql = 'select name from tag_trash where purge_after > ? order by purge_after';
  return tables.rows<{ name: string }>(sql, clock.now()).map(({ name }) => name);
}

function diskEvents(): readonly string[] {
  return tables
    .rows<{ kind: string }>(`select kind from event where kind like 'disk.%' order by id`)
    .map(({ kind }) => kind);
}

/** Has the process that makes room be taken for gone, as one that was not heard of for long. */
async function takeMakerForGone(): Promise<void> {
  const client = new Client({ connectionString: metadata });
  await client.connect();
  const { rowCount } = await client.query('delete from process where id = (select process from room_making)');
  await client.end();
  expect(rowCount).toBe(1);
}

async function serveOneThatStandsStill() {
  const server = await serve((inner) => {
    const wrapped = new StandingStill(inner);
    standing.push(wrapped);
    return wrapped;
  });
  const store = standing.at(-1);
  if (store === undefined) throw new Error('the server has no metadata');
  return { server, store };
}

test('several processes end no more of the trash before its time than one would, and tell of it once', async () => {
  const [one, two] = [await serve(), await serve()];
  await fillTrash(one);
  await leasesEnd(one);
  othersBytes = 10 * percent;
  // 85 % of the disk: 25 % are to go, which three images are. Nothing is collected yet of what the first lets go.
  await one.storage.look();
  await two.storage.look();
  expect(inTrash()).toEqual(['four', 'five', 'six']);
  expect(two.storage.maker.isMakingRoom).toBe(true);
  await looked(one, two);
  clock.advance(11 * minute);
  await looked(two, one);
  expect(inTrash()).toEqual(['four', 'five', 'six']);
  expect(diskEvents()).toEqual(['disk.high', 'disk.low']);
  expect(two.storage.maker.isMakingRoom).toBe(false);
});

test('a process that takes over from one that was stopped knows what that has let go', async () => {
  const [one, two] = [await serve(), await serve()];
  await fillTrash(one);
  await leasesEnd(one);
  othersBytes = 10 * percent;
  await one.storage.look();
  await stop(one);
  await two.storage.look();
  expect(inTrash()).toEqual(['four', 'five', 'six']);
  expect(two.storage.maker.state.made?.trashedTags).toBe(3);
  await looked(two);
  clock.advance(11 * minute);
  await looked(two);
  expect(inTrash()).toEqual(['four', 'five', 'six']);
  expect(diskEvents()).toEqual(['disk.high', 'disk.low']);
});

test('a process that has stood still, and was taken for gone, ends nothing more of the trash', async () => {
  const [one, two] = [await serve(), await serve()];
  await fillTrash(two);
  othersBytes = 10 * percent;
  await one.storage.look();
  expect(one.storage.maker.isMakingRoom).toBe(true);
  await leasesEnd(two);
  expect(inTrash()).toEqual(tags);
  const [reached, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const measured = disk();
  let measurements = 0;
  measureDisk = async () => {
    // The first one is for uploads.
    if (++measurements === 1) return measured;
    reached.resolve();
    await goOn.promise;
    return measured;
  };
  const looking = one.storage.look();
  await reached.promise;
  measureDisk = async () => disk();
  await takeMakerForGone();
  await looked(two);
  expect(inTrash()).toEqual(['four', 'five', 'six']);
  // It goes by what it has seen before.
  goOn.resolve();
  await looking;
  await looked(one, two);
  expect(inTrash()).toEqual(['four', 'five', 'six']);
  expect(diskEvents()).toEqual(['disk.high']);
});

test('a process that has stood still, and was taken for gone, prunes no more for room', async () => {
  const parsed = parsePolicySet([{ repositories: repo, default: 'keep', whenFull: 'prune', rails: { grace: '0' } }]);
  if (!parsed.ok) throw new Error(parsed.problems.join());
  policies = parsed.set;
  const { server: one, store } = await serveOneThatStandsStill();
  const two = await serve();
  for (const tag of tags) await push(two, tag, 10);
  for (const server of [one, two]) await server.pruner?.workOff();
  await leasesEnd(two);
  othersBytes = 25 * percent;
  store.arm();
  const looking = one.storage.look();
  await store.reached.promise;
  await takeMakerForGone();
  // 85 % of the disk, of which three images are to go.
  await two.storage.look();
  const left = () => tables.rows<{ name: string }>('select name from tag order by name').map(({ name }) => name);
  expect(left()).toEqual(['five', 'four', 'six']);
  store.goOn.resolve();
  await looking;
  await looked(one, two);
  expect(left()).toEqual(['five', 'four', 'six']);
});

test('what cannot be helped is told once, whichever process finds it', async () => {
  const [one, two] = [await serve(), await serve()];
  await push(one, 'kept', 85);
  await looked(one, two);
  expect(diskEvents()).toEqual(['disk.high', 'disk.stuck']);
  expect(two.storage.maker.state.stuck).toBe('nothing-left');
  await stop(one);
  await looked(two);
  const three = await serve();
  await looked(three, two);
  expect(diskEvents()).toEqual(['disk.high', 'disk.stuck']);
});

test('a sample of what is stored is taken once an hour among all, whichever process takes it', async () => {
  let [one, two] = [await serve(), await serve()];
  for (let half = 0; half < 8; half++) {
    for (const server of [one, two]) {
      await server.storage.look();
      clock.advance(1000);
    }
    const next = await serve();
    await stop(one);
    [one, two] = [two, next];
    clock.advance(hour / 2);
  }
  expect(tables.rows('select at from storage_sample')).toHaveLength(4);
});
