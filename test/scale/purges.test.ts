import { afterEach, beforeEach, expect, test } from 'bun:test';
import { z } from 'zod';
import { jsonLines } from '../../src/json-lines.ts';
import { digestOf, freshBytes, imageOf } from '../http/content.ts';
import { ServedRegistry, type Settings } from '../http/served-registry.ts';
import { PostgresTables } from '../pairs/tables.ts';
import { SlowDownload } from '../purge-fire/slow-download.ts';
import { until } from '../server/until.ts';
import { InjectingProxy, operationOf } from './injecting-proxy.ts';
import { startMinio } from './minio-server.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres, s3: startMinio });

const mebibyte = 1024 * 1024;
const repo = 'team/app';

const record = z.object({
  id: z.number(),
  isClean: z.boolean().optional(),
  checkedAt: z.string().optional(),
  waitsFor: z.string().optional(),
  responsesCut: z.number().optional(),
  isCutAtLeast: z.boolean().optional(),
});

let proxy: InjectingProxy;
let database: string;
let settings: Settings;
let servers: readonly [ServedRegistry, ServedRegistry];

beforeEach(async () => {
  const bucket = await storage.s3.newBucket();
  proxy = new InjectingProxy(storage.s3.endpoint);
  database = await storage.postgres.newDatabase();
  settings = { metadata: database, blobs: `s3://${bucket.name}`, 's3.endpoint': proxy.endpoint };
  servers = [await ServedRegistry.start(settings), await ServedRegistry.start(settings)];
});

afterEach(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]();
  await proxy[Symbol.asyncDispose]();
});

async function purge(server: ServedRegistry, digest: string) {
  const answer = await server.admin('POST', '/purge', { digests: [digest], reason: 'a secret' });
  expect(answer.status).toBe(200);
  return record.parse(await answer.json());
}

async function recordOf(server: ServedRegistry, id: number) {
  return record.parse(await (await server.admin('GET', `/purges/record?id=${id}`)).json());
}

test('a purge breaks off what other processes send of it, and is finished once they have said so', async () => {
  const bytes = freshBytes(24 * mebibyte);
  const secret = await servers[0].pushBlob(repo, bytes);
  const path = `/v2/${repo}/blobs/${secret}`;
  const downloads = servers.map(({ port }) => new SlowDownload(port, path, bytes));
  try {
    await until('each has got something', () => downloads.every(({ receivedBytes }) => receivedBytes > 0));
    const purged = await purge(servers[0], secret);
    expect(purged).toMatchObject({ isClean: true, responsesCut: 2 });
    expect(purged.isCutAtLeast).toBeUndefined();
    for (const download of downloads) download.readAll();
    await until('each is broken off', () => downloads.every(({ hasEnded }) => hasEnded));
    for (const { receivedBytes } of downloads) expect(receivedBytes).toBeLessThan(bytes.byteLength);
    expect(PostgresTables.at(database).rows('select * from purge_confirmation')).toEqual([]);
  } finally {
    for (const download of downloads) download[Symbol.dispose]();
  }
}, 60_000);

test('a purge is effective but not finished while a process that may live has not said that it sends none of it', async () => {
  const bytes = freshBytes(1000);
  const secret = await servers[0].pushBlob(repo, bytes);
  PostgresTables.at(database).change(`insert into process (id, name) values ('mute', 'a mute process')`);
  const purged = await purge(servers[0], secret);
  expect(purged.checkedAt).toBeUndefined();
  expect(purged.waitsFor).toContain('a mute process');
  expect((await servers[1].send(`/v2/${repo}/blobs/${secret}`)).status).toBe(403);
  // As it is done with one that is not heard of.
  PostgresTables.at(database).change(`delete from process where id = 'mute'`);
  await until('it is finished', async () => (await recordOf(servers[1], purged.id)).checkedAt !== undefined, 30_000);
  expect(await recordOf(servers[1], purged.id)).toMatchObject({ isClean: true, isCutAtLeast: true });
}, 60_000);

test('another process takes a purge over from one that has ended, and nobody does it twice', async () => {
  const secret = await servers[0].pushBlob(repo, freshBytes(1000));
  proxy.inject = (request) =>
    operationOf(request) === 'DeleteObjects' ? { do: 'answer', status: 403, code: 'AccessDenied' } : undefined;
  const purged = await purge(servers[0], secret);
  expect(purged.waitsFor).toBeDefined();
  expect(PostgresTables.at(database).rows('select finisher is not null as claimed from purge')).toEqual([
    { claimed: 1 },
  ]);
  await servers[0].stop();
  proxy.inject = () => undefined;
  await until('it is finished', async () => (await recordOf(servers[1], purged.id)).checkedAt !== undefined, 30_000);
  expect(PostgresTables.at(database).rows(`select kind from event where kind = 'purge.checked'`)).toHaveLength(1);
}, 60_000);

test('a purge that a starting process finds unfinished, and another one is at, is left to that one', async () => {
  const secret = await servers[0].pushBlob(repo, freshBytes(1000));
  const { promise, resolve: letGo } = Promise.withResolvers<undefined>();
  let removals = 0;
  proxy.inject = (request) => {
    if (operationOf(request) !== 'DeleteObjects') return undefined;
    removals++;
    return { do: 'hold', until: promise };
  };
  const purging = purge(servers[0], secret);
  await until('it is being removed', () => removals > 0);
  await servers[1].stop();
  await servers[1].resume(settings);
  letGo(undefined);
  expect(await purging).toMatchObject({ isClean: true });
  expect(removals).toBe(1);
}, 60_000);

test('the purge of an image comes to its end, its manifest included', async () => {
  const layer = freshBytes(1000);
  await servers[0].pushBlob(repo, layer);
  const config = freshBytes(100);
  await servers[0].pushBlob(repo, config);
  const manifest = JSON.stringify(imageOf(config, layer));
  expect((await servers[0].putManifest(repo, 'latest', manifest)).status).toBe(201);
  const purged = await purge(servers[1], digestOf(manifest));
  expect(purged).toMatchObject({ isClean: true });
  expect((await servers[0].send(`/v2/${repo}/manifests/latest`)).status).toBe(403);
}, 60_000);

test('whoever follows events at one process is told of what another one does', async () => {
  const answer = await servers[1].admin('GET', '/events/follow?kind=tag.');
  const told: unknown[] = [];
  const following = (async (): Promise<void> => {
    for await (const line of jsonLines(answer.body ?? new Blob([]).stream())) told.push(line);
  })().catch(() => undefined);
  await until('it follows', () => told.length > 0);
  const [config, layer] = [freshBytes(10), freshBytes(20)];
  for (const bytes of [config, layer]) await servers[0].pushBlob(repo, bytes);
  const manifest = JSON.stringify(imageOf(config, layer));
  expect((await servers[0].putManifest(repo, 'latest', manifest)).status).toBe(201);
  await until('it is told', () => JSON.stringify(told).includes('latest'));
  await servers[1].stop();
  await following;
}, 60_000);

test('a purge that was committed is finished though the answer to its commit was lost', async () => {
  let isLosing = false;
  const commit = async <T>(send: () => Promise<T>, mustLast: boolean): Promise<T> => {
    const answer = await send();
    if (!isLosing || !mustLast) return answer;
    isLosing = false;
    throw new Error('Connection terminated unexpectedly');
  };
  await using server = await ServedRegistry.start(settings, { database: {}, blobs: {}, postgres: { commit } });
  const secret = await server.pushBlob(repo, freshBytes(1000));
  isLosing = true;
  const answer = await server.admin('POST', '/purge', { digests: [secret], reason: 'a secret' });
  expect(answer.status).toBe(503);
  await until('it is finished', async () => (await recordOf(server, 1)).checkedAt !== undefined, 30_000);
  const finished = await recordOf(server, 1);
  expect(finished.isClean).toBe(true);
  expect(finished.isCutAtLeast).toBeUndefined();
}, 60_000);
