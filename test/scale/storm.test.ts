import { expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import { z } from 'zod';
import { until } from '../server/until.ts';
import { findingsIn } from '../storm/fsck-process.ts';
import { runStorm } from '../storm/storm-process.ts';
import { Disturbances } from './disturbances.ts';
import { brokenRowsIn, heldKeys, keysOfBlobs, unfinishedIn } from './held-by-the-registry.ts';
import { startMinio } from './minio-server.ts';
import { startPostgres } from './postgres-server.ts';
import { SeveralProcesses } from './several-processes.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres, s3: startMinio });

const seconds = Number(process.env['STORM_SECONDS'] ?? 190);
const seed = Number(process.env['STORM_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
/** How long the collectors may take for what is left in the end, in ms: a process that is killed keeps what it has claimed for a minute. */
const collectedWithinMs = 180_000;

/** What is promised is half the lease: a HEAD does not renew one of which more than that is left. */
const load = '--processes 8 --clients 2 --lease 1s --large-blobs 3 --allow-down'.split(' ');

setDefaultTimeout(seconds * 1000 * 2 + 600_000);

test('four processes on PostgreSQL and a bucket, two of which collect, are killed with -9, and both servers restarted, while requests are sprayed over them: nothing acknowledged is lost, and the bucket has what is held and nothing else', async () => {
  console.log(`storm: seed ${seed} (STORM_SEED), ${seconds} s (STORM_SECONDS)`);
  const { postgres, s3 } = storage;
  await using stack = new AsyncDisposableStack();
  const bucket = await s3.newBucket();
  const database = await postgres.newDatabase();
  const flags = {
    blobs: `s3://${bucket.name}`,
    's3-endpoint': s3.endpoint,
    's3-part-size': '5MiB',
    's3-late-writes': '2s',
  };
  const environment = { ...s3.environment, WHERRY_METADATA: database };
  const registry = stack.use(
    await SeveralProcesses.start(4, (index) => ({ ...flags, 'collector-run': index < 2 ? 'on' : 'off' }), environment),
  );

  const disturbances = new Disturbances(registry, [postgres, s3]);
  const [{ code, text, report }] = await Promise.all([
    runStorm(registry, ...load, '--duration', `${seconds}s`, '--seed', String(seed)),
    disturbances.goOnFor(seconds * 1000, seed),
  ]);
  console.log(`${text}\n${disturbances.kills} kills, ${disturbances.restarts} restarts of what they depend on`);
  expect(report.lost).toEqual([]);
  expect(report.wrong).toEqual([]);
  expect(code).toBe(0);
  expect(report.unanswered.filter(({ at }) => !disturbances.explains(at))).toEqual([]);
  expect(registry.endedByThemselves).toEqual([]);
  expect(disturbances.restarts).toBe(2);
  expect(disturbances.kills).toBeGreaterThanOrEqual(Math.floor(seconds / 12));
  expect(report.counts.pushesAcknowledged).toBeGreaterThan(seconds);
  expect(report.counts.imagesVerified).toBeGreaterThan(0);

  const objects = async (): Promise<readonly string[]> => keysOfBlobs(await bucket.keys());
  const collected = async (): Promise<void> =>
    await until('the collectors are through', () => unfinishedIn(database).length === 0, collectedWithinMs).catch(
      (error: unknown) => {
        throw new Error(`left: ${unfinishedIn(database).join(', ')}`, { cause: error });
      },
    );
  const places = ['--metadata', database, ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value])];
  const expectInOrder = async (): Promise<void> => {
    expect(await findingsIn(join(registry.directory, 'data-0'), '--rehash', ...places)).toEqual([]);
    expect(brokenRowsIn(database)).toEqual([]);
    expect(await objects()).toEqual(heldKeys(database));
    expect(s3.unfinishedUploads()).toBe(0);
  };

  await collected();
  await expectInOrder();
  expect((await objects()).length).toBeGreaterThan(0);

  await deleteAllTags(registry.origins);
  await collected();
  await expectInOrder();
  expect(await objects()).toEqual([]);
  await registry.stop();
});

const names = z.array(z.string());
const catalog = z.object({ repositories: names });
const tagList = z.object({ tags: names });

async function deleteAllTags(origins: readonly string[]): Promise<void> {
  let turn = 0;
  const send = async (path: string, method = 'GET'): Promise<Response> =>
    await fetch(`${origins[turn++ % origins.length]}/v2/${path}`, { method });
  const { repositories } = catalog.parse(await (await send('_catalog')).json());
  for (const repository of repositories) {
    const { tags } = tagList.parse(await (await send(`${repository}/tags/list`)).json());
    for (const tag of tags) expect((await send(`${repository}/manifests/${tag}`, 'DELETE')).status).toBe(202);
  }
}
