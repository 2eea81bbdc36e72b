import { expect, test } from 'bun:test';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { digestOf, freshBytes, imageOf, ociManifest } from '../http/content.ts';
import { PostgresTables } from '../pairs/tables.ts';
import { until } from '../server/until.ts';
import { findingsIn } from '../storm/fsck-process.ts';
import { signal, WorkerProcesses } from '../workers/worker-processes.ts';
import { startMinio } from './minio-server.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres, s3: startMinio });

const mebibyte = 1024 * 1024;
const repo = 'team/app';
/** So many requests on connections of their own do not all come to one of two workers. */
const chunks = 24;

const logLine = z.object({
  level: z.string(),
  msg: z.string(),
  worker: z.int().optional(),
  method: z.string().optional(),
});
const purgeRecord = z.object({ id: z.number(), isClean: z.boolean().optional(), checkedAt: z.string().optional() });

/** The workers of one `wherry serve`, and who asks them: each request comes on a connection of its own. */
class Clients {
  readonly #processes: WorkerProcesses;

  constructor(processes: WorkerProcesses) {
    this.#processes = processes;
  }

  async send(path: string, init: RequestInit = {}): Promise<Response> {
    return await fetch(new URL(path, this.#processes.origin), { ...init, keepalive: false });
  }

  async admin(method: string, path: string, body?: object): Promise<Response> {
    const token = (await readFile(join(this.#processes.dataDirectory, 'admin.token'), 'utf8')).trim();
    const headers = { authorization: `Bearer ${token}` };
    return await this.send(`/admin/v1${path}`, {
      method,
      headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  }

  /** Pushes a blob in many chunks. */
  async pushBlob(bytes: Uint8Array): Promise<void> {
    const opened = await this.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
    expect(opened.status).toBe(202);
    const session = opened.headers.get('location') ?? '';
    const size = Math.ceil(bytes.byteLength / chunks);
    for (let first = 0; first < bytes.byteLength; first += size) {
      const chunk = bytes.slice(first, first + size);
      const headers = { 'content-range': `${first}-${first + chunk.byteLength - 1}` };
      expect((await this.send(session, { method: 'PATCH', headers, body: chunk })).status).toBe(202);
    }
    expect((await this.send(`${session}?digest=${digestOf(bytes)}`, { method: 'PUT' })).status).toBe(201);
  }

  /** Pushes an image of a configuration and a layer. @returns what its manifest says */
  async pushImage(tag: string, layer: Uint8Array): Promise<string> {
    const config = freshBytes();
    await this.pushBlob(layer);
    const pushed = await this.send(`/v2/${repo}/blobs/uploads/?digest=${digestOf(config)}`, {
      method: 'POST',
      body: config,
    });
    expect(pushed.status).toBe(201);
    const manifest = JSON.stringify(imageOf(config, layer));
    const headers = { 'content-type': ociManifest };
    const put = await this.send(`/v2/${repo}/manifests/${tag}`, { method: 'PUT', headers, body: manifest });
    expect(put.status).toBe(201);
    return manifest;
  }

  /** Pulls an image several times, so that each worker sends some of it. */
  async expectWhole(tag: string, manifest: string, layer: Uint8Array): Promise<void> {
    for (let pulls = 0; pulls < 4; pulls++) {
      expect(await (await this.send(`/v2/${repo}/manifests/${tag}`)).text()).toBe(manifest);
      const pulled = await this.send(`/v2/${repo}/blobs/${digestOf(layer)}`);
      expect(digestOf(await pulled.bytes())).toBe(digestOf(layer));
    }
  }
}

test('workers on PostgreSQL and S3 share uploads, one that is killed is replaced, and deletes and purges come to their end', async () => {
  const bucket = await storage.s3.newBucket();
  const database = await storage.postgres.newDatabase();
  const stores = { metadata: database, blobs: `s3://${bucket.name}`, 's3-endpoint': storage.s3.endpoint };
  const objects = async () => (await bucket.keys()).filter((key) => key.startsWith('objects/'));
  await using processes = await WorkerProcesses.start(2, {
    ...stores,
    's3-late-writes': '0',
    's3-redirect': 'off',
    'windows-lease': '5s',
    'windows-never-tagged': '5s',
    'windows-upload': '1h',
    'log-requests': 'all',
    'log-format': 'json',
  });
  const clients = new Clients(processes);
  const logged = async () =>
    (await processes.log())
      .trimEnd()
      .split('\n')
      .map((line) => logLine.parse(JSON.parse(line)));
  /** Waits until each worker has answered something since the log had so many lines. */
  const untilBothAnswer = async (since: number) =>
    await until(
      'both answer',
      async () => {
        expect((await clients.send('/v2/')).status).toBe(200);
        const lines = (await logged()).slice(since);
        return new Set(lines.filter(({ method }) => method === 'GET').map(({ worker }) => worker)).size === 2;
      },
      30_000,
    );
  await untilBothAnswer(0);
  const patchingWorkers = async () =>
    new Set((await logged()).filter(({ method }) => method === 'PATCH').map(({ worker }) => worker));

  const [kept, deleted, secret] = [freshBytes(14 * mebibyte), freshBytes(1000), freshBytes(mebibyte)];
  const image = await clients.pushImage('kept', kept);
  expect(await patchingWorkers()).toEqual(new Set([0, 1]));
  await clients.expectWhole('kept', image, kept);

  const places = () => PostgresTables.at(database).rows<{ id: string }>('select id from process');
  const [first = 0, second = 0] = processes.workers;
  expect(places()).toHaveLength(2);
  const linesBefore = (await logged()).length;
  signal(second, 'SIGKILL');
  await until('another serves in its place', () => {
    const { workers } = processes;
    return workers.length === 2 && !workers.includes(second) && places().length === 3;
  });
  expect(processes.workers[0]).toBe(first);
  await untilBothAnswer(linesBefore);
  await clients.expectWhole('kept', image, kept);

  await clients.pushImage('deleted', deleted);
  await clients.pushImage('leaked', secret);
  expect((await clients.send(`/v2/${repo}/manifests/deleted`, { method: 'DELETE' })).status).toBe(202);
  // Two of each image that stays.
  await until('it is collected', async () => (await objects()).length === 4, 20_000);

  // As where the minute is over after which the one that was killed is taken for gone (purges.test.ts waits for such a one).
  PostgresTables.at(database).change(`delete from process where name like 'process ${second} on %'`);
  const purging = await clients.admin('POST', '/purge', { digests: [digestOf(secret)], reason: 'a secret' });
  expect(purging.status).toBe(200);
  const { id } = purgeRecord.parse(await purging.json());
  expect((await clients.send(`/v2/${repo}/blobs/${digestOf(secret)}`)).status).toBe(403);
  const record = async () => purgeRecord.parse(await (await clients.admin('GET', `/purges/record?id=${id}`)).json());
  await until('the purge has ended', async () => (await record()).checkedAt !== undefined, 30_000);
  expect(await record()).toMatchObject({ isClean: true });
  await clients.expectWhole('kept', image, kept);

  expect(await processes.supervisor.stop()).toBe(0);
  const errors = (await logged()).filter(({ level }) => level === 'error');
  expect(errors.map(({ msg }) => msg)).toEqual(['a worker has died; another takes its place']);
  const flags = Object.entries(stores).flatMap(([name, value]) => [`--${name}`, value]);
  expect(await findingsIn(processes.dataDirectory, '--rehash', ...flags)).toEqual([]);
  expect(PostgresTables.at(database).rows('select id from process')).toEqual([]);
}, 120_000);
