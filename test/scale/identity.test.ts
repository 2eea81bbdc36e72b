import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { variableOf } from '../../src/config/environment.ts';
import { loadConfig } from '../../src/config/load.ts';
import { fsck } from '../../src/fsck/fsck.ts';
import { ownProgram } from '../../src/own-program.ts';
import { createLog } from '../../src/log/log.ts';
import { type RunningServer, startServer } from '../../src/server/server.ts';
import { SharedRepairs } from '../../src/server/shared-repairs.ts';
import { StartupError } from '../../src/startup-error.ts';
import { placesOf } from '../../src/stores/checked-places.ts';
import { digestOf } from '../http/content.ts';
import { type S3Server, startMinio } from './minio-server.ts';
import { type PostgresServer, startPostgres } from './postgres-server.ts';

let postgres: PostgresServer;
let s3: S3Server;
let directory: string;

beforeAll(async () => {
  [postgres, s3] = await Promise.all([startPostgres(), startMinio()]);
  Object.assign(process.env, s3.environment);
}, 600_000);

afterAll(async () => {
  await Promise.all([postgres.stop(), s3.stop()]);
});

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'wherry-identity-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

type Settings = Readonly<Record<string, string>>;

async function configOf(settings: Settings) {
  const flags = new Map(Object.entries({ listen: '127.0.0.1:0', ...settings }));
  const loaded = await loadConfig({ flags, env: {}, readFile: () => '' });
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
  return loaded.config;
}

async function start(settings: Settings): Promise<RunningServer> {
  return await startServer({
    config: await configOf(settings),
    log: await createLog({ level: 'error', format: 'json' }),
  });
}

/** What is said instead of starting. */
async function refusalOf(settings: Settings): Promise<string> {
  try {
    await (await start(settings)).stop();
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
  const server = await start(settings);
  try {
    return await whileRunning(server);
  } finally {
    await server.stop();
  }
}

/** What fsck finds when it repairs, two days from now. */
async function repaired(settings: Settings): Promise<readonly string[]> {
  const config = await configOf(settings);
  await using repairs = new SharedRepairs(config, await createLog({ level: 'error', format: 'json' }));
  const now = Date.now() + 48 * 3_600_000;
  const found = await Array.fromAsync(fsck({ ...placesOf(config), now, repair: (repair) => repairs.make(repair) }));
  return found.map(({ severity, code, isRepaired }) => `${severity} ${code}${isRepaired ? ' repaired' : ''}`);
}

async function problemOf(failing: Promise<unknown>): Promise<string> {
  return await failing.then(
    () => 'none',
    (error: unknown) => String(error),
  );
}

test('a directory that has none of the registry’s blobs is not served, nor checked', async () => {
  const settings = { metadata: await postgres.newDatabase(), data: join(directory, 'one') };
  await serve(settings, (server) => push(server, 'a layer'));
  const elsewhere = { ...settings, data: join(directory, 'other') };
  await serve({ ...elsewhere, metadata: await postgres.newDatabase() }, async () => undefined);
  expect(await refusalOf(elsewhere)).toContain('are not in');
  expect(await problemOf(repaired(elsewhere))).toContain('blobs of this registry are elsewhere');
  expect(await refusalOf(settings)).toBe('it started');
});

test('a bucket that has none of them is not served, nor checked', async () => {
  const [own, other] = [await s3.newBucket(), await s3.newBucket()];
  const inBucket = ({ name }: { readonly name: string }, data: string) => ({
    metadata,
    blobs: `s3://${name}`,
    's3.endpoint': s3.endpoint,
    data: join(directory, data),
  });
  const metadata = await postgres.newDatabase();
  await serve(inBucket(own, 'one'), (server) => push(server, 'a layer'));
  expect(await refusalOf(inBucket(other, 'two'))).toContain('those of no registry are');
  expect(await problemOf(repaired(inBucket(other, 'three')))).toContain('blobs of this registry are elsewhere');
  expect(await refusalOf(inBucket(own, 'four'))).toBe('it started');
});

test('an empty database becomes that of blobs whose own is lost, and adopts them', async () => {
  const { name } = await s3.newBucket();
  const settings = {
    metadata: await postgres.newDatabase(),
    blobs: `s3://${name}`,
    's3.endpoint': s3.endpoint,
    data: join(directory, 'one'),
  };
  await serve(settings, (server) => push(server, 'a layer'));
  const empty = { ...settings, metadata: await postgres.newDatabase() };
  const environment = Object.fromEntries(Object.entries(empty).map(([key, value]) => [variableOf(key), value]));
  const restoring = Bun.spawn([...ownProgram(), 'restore', '--in-place'], { env: { ...process.env, ...environment } });
  expect(await restoring.exited).toBe(0);
  expect(await repaired(empty)).toEqual(['leak F2 repaired', 'leak F14 repaired']);
  expect(await repaired(empty)).toEqual([]);
});

test('what a registry keeps in the same bucket as another one is not taken away by the repairs of that', async () => {
  const { name } = await s3.newBucket();
  const of = async (data: string) => ({
    metadata: await postgres.newDatabase(),
    blobs: `s3://${name}`,
    's3.endpoint': s3.endpoint,
    data: join(directory, data),
  });
  const [one, other] = [await of('one'), await of('other')];
  const digest = await serve(one, (server) => push(server, 'a layer'));
  await serve(other, async () => undefined);
  expect(await repaired(other)).toEqual(['note F2']);
  const status = await serve(one, async ({ url }) => (await fetch(new URL(`/v2/app/blobs/${digest}`, url))).status);
  expect(status).toBe(200);
});
