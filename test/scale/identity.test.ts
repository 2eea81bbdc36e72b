import { afterEach, beforeEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import { variableOf } from '../../src/config/environment.ts';
import { Bucket } from '../../src/blobs/s3/bucket.ts';
import { fsck } from '../../src/fsck/fsck.ts';
import { ownProgram } from '../../src/own-program.ts';
import type { RunningServer } from '../../src/server/server.ts';
import { SharedRepairs } from '../../src/server/shared-repairs.ts';
import { StartupError } from '../../src/startup-error.ts';
import { placesOf } from '../../src/stores/checked-places.ts';
import { digestOf } from '../http/content.ts';
import { configFrom } from '../server/config-from.ts';
import { logOfErrors, startQuietServer } from '../server/quiet-server.ts';
import { TemporaryDirectory } from '../server/temporary-directory.ts';
import { startMinio } from './minio-server.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres, s3: startMinio });

let directory: TemporaryDirectory;

beforeEach(() => {
  directory = new TemporaryDirectory('identity');
});

afterEach(() => {
  directory[Symbol.dispose]();
});

type Settings = Readonly<Record<string, string>>;

/** What is said instead of starting. */
async function refusalOf(settings: Settings): Promise<string> {
  try {
    await (await startQuietServer(settings)).stop();
  } catch (error) {
    if (error instanceof StartupError) return error.message;
    throw error;
  }
  return 'it started';
}

async function push(server: RunningServer, content: string): Promise<string> {
  const digest = digestOf(content);
  const url = new URL(`/v2/app/blobs/uploads/?digest=${digest}`, server.url);
  const { status } = await fetch(url, { method: 'POST', body: content });
  expect(status).toBe(201);
  return digest;
}

async function serve<T>(settings: Settings, whileRunning: (server: RunningServer) => Promise<T>): Promise<T> {
  const server = await startQuietServer(settings);
  try {
    return await whileRunning(server);
  } finally {
    await server.stop();
  }
}

/** What fsck finds when it repairs, two days from now. */
async function repaired(settings: Settings): Promise<readonly string[]> {
  const config = await configFrom(settings);
  await using repairs = new SharedRepairs(config, await logOfErrors());
  const now = Date.now() + 48 * 3_600_000;
  const found = await Array.fromAsync(fsck({ ...placesOf(config), now, repair: (repair) => repairs.make(repair) }));
  return found.map(({ severity, code, isRepaired }) => `${severity} ${code}${isRepaired ? ' repaired' : ''}`);
}

async function restoreInPlace(settings: Settings): Promise<void> {
  const environment = Object.fromEntries(Object.entries(settings).map(([key, value]) => [variableOf(key), value]));
  const restoring = Bun.spawn([...ownProgram(), 'restore', '--in-place'], { env: { ...process.env, ...environment } });
  expect(await restoring.exited).toBe(0);
}

async function problemOf(failing: Promise<unknown>): Promise<string> {
  return await failing.then(
    () => 'none',
    (error: unknown) => String(error),
  );
}

test('a directory that has none of the registry’s blobs is not served, nor checked', async () => {
  const settings = { metadata: await storage.postgres.newDatabase(), data: join(directory.path, 'one') };
  await serve(settings, (server) => push(server, 'a layer'));
  const elsewhere = { ...settings, data: join(directory.path, 'other') };
  await serve({ ...elsewhere, metadata: await storage.postgres.newDatabase() }, async () => undefined);
  expect(await refusalOf(elsewhere)).toContain('are not in');
  expect(await problemOf(repaired(elsewhere))).toContain('blobs of this registry are elsewhere');
  expect(await refusalOf(settings)).toBe('it started');
});

test('a bucket that has none of them is not served, nor checked', async () => {
  const [own, other] = [await storage.s3.newBucket(), await storage.s3.newBucket()];
  const inBucket = ({ name }: { readonly name: string }, data: string) => ({
    metadata,
    blobs: `s3://${name}`,
    's3.endpoint': storage.s3.endpoint,
    data: join(directory.path, data),
  });
  const metadata = await storage.postgres.newDatabase();
  await serve(inBucket(own, 'one'), (server) => push(server, 'a layer'));
  expect(await refusalOf(inBucket(other, 'two'))).toContain('those of no registry are');
  expect(await problemOf(repaired(inBucket(other, 'three')))).toContain('blobs of this registry are elsewhere');
  // Nor is it remembered as the place of the blobs.
  for (const data of ['two', 'four']) expect(await refusalOf(inBucket(own, data))).toBe('it started');
});

test('an empty database becomes that of blobs whose own is lost, and adopts them', async () => {
  const { name, settings: bucketSettings } = await storage.s3.newBucket();
  const bucket = new Bucket({ ...bucketSettings, prefix: '' });
  const settings = {
    metadata: await storage.postgres.newDatabase(),
    blobs: `s3://${name}`,
    's3.endpoint': storage.s3.endpoint,
    data: join(directory.path, 'one'),
  };
  await serve(settings, (server) => push(server, 'a layer'));
  const empty = { ...settings, metadata: await storage.postgres.newDatabase() };
  await restoreInPlace(empty);
  // As long as it may be another registry's.
  expect(await repaired(empty)).toEqual(['leak F2', 'leak F14']);
  expect(await repaired(empty)).toEqual(['leak F2', 'leak F14']);
  await bucket.remove(await bucket.listings.objectsUnder('registries/', false));
  expect(await repaired(empty)).toEqual(['leak F2 repaired', 'leak F14 repaired']);
  expect(await repaired(empty)).toEqual([]);
});

test('what a registry keeps in the same bucket as another one is not taken away by the repairs of that', async () => {
  const { name } = await storage.s3.newBucket();
  const of = async (data: string) => ({
    metadata: await storage.postgres.newDatabase(),
    blobs: `s3://${name}`,
    's3.endpoint': storage.s3.endpoint,
    data: join(directory.path, data),
  });
  const [one, other] = [await of('one'), await of('other')];
  const digest = await serve(one, (server) => push(server, 'a layer'));
  await serve(other, async () => undefined);
  expect(await repaired(other)).toEqual(['note F2']);
  const status = await serve(one, async ({ url }) => (await fetch(new URL(`/v2/app/blobs/${digest}`, url))).status);
  expect(status).toBe(200);
});
