import { expect, setDefaultTimeout, test } from 'bun:test';
import { S3BlobStore } from '../../src/blobs/s3/store.ts';
import { SeededRandom } from '../../src/storm/seeded-random.ts';
import { until } from '../server/until.ts';
import { runStorm } from '../storm/storm-process.ts';
import { CuttingRelay } from './cutting-relay.ts';
import { Faults } from './fault-kinds.ts';
import { heldKeys, keysOfBlobs, unfinishedIn } from './held-by-the-registry.ts';
import { InjectingProxy } from './injecting-proxy.ts';
import { Watch } from './invariants/watch.ts';
import { startMinio } from './minio-server.ts';
import { startPostgres } from './postgres-server.ts';
import { SeveralProcesses } from './several-processes.ts';
import { StorageServers } from './storage-servers.ts';
import { PostgresTables } from '../pairs/tables.ts';

const storage = new StorageServers({ postgres: startPostgres, s3: startMinio });

const seconds = Number(process.env['FAULTS_SECONDS'] ?? 40);
const seed = Number(process.env['FAULTS_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
const collectedWithinMs = 180_000;
/** How long the registry may take, in ms, after all else is over, to send a request again to which nothing is answered. */
const sentAgainWithinMs = 40_000;
/** How long a request may be on its way after its sender has given it up, in ms. */
const lateMs = 4000;
/** As the processes are told. */
const leaseMs = 2000;

setDefaultTimeout(seconds * 1000 * 2 + 600_000);

const load = ['--processes', '2', '--clients', '3', '--lease', '1s', '--large-blobs', '3', '--allow-down'];

/** Ends one of the registry's connections to the database now and then, as an administrator may. */
async function terminateSome(database: string, random: SeededRandom, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    await Bun.sleep(random.between(200, 1500));
    PostgresTables.at(database).change(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'wherry%' order by random() limit 1`,
    );
  }
}

test('whatever goes wrong between two processes and their bucket and database, clients get a clean answer, and each of the invariants holds', async () => {
  console.log(`faults: seed ${seed} (FAULTS_SEED), ${seconds} s (FAULTS_SECONDS)`);
  const random = new SeededRandom(seed);
  const { postgres, s3 } = storage;
  await using stack = new AsyncDisposableStack();
  const bucket = await s3.newBucket();
  const database = await postgres.newDatabase();
  const proxy = stack.use(new InjectingProxy(s3.endpoint));
  const relay = stack.use(new CuttingRelay(Number(new URL(database).port)));
  const flags = {
    blobs: `s3://${bucket.name}`,
    's3-endpoint': proxy.endpoint,
    's3-part-size': '5MiB',
    // Longer than they are.
    's3-late-writes': `${(2 * lateMs) / 1000}s`,
    'windows-lease': `${leaseMs / 1000}s`,
  };
  const environment = { ...s3.environment, WHERRY_METADATA: relay.addressOf(database) };
  const registry = stack.use(await SeveralProcesses.start(2, () => flags, environment));

  Object.assign(process.env, s3.environment);
  const blobs = await S3BlobStore.open({ ...bucket.settings, prefix: '' });
  const purge = async (body: object): Promise<Response> => await registry.admin('/purge', body);
  const watched = { database, bucket, blobs, origins: registry.origins, leaseMs, purge };
  proxy.requests.length = 0;
  const faults = new Faults(random.fork(), lateMs);
  proxy.inject = faults.inject;
  const ofRelay = random.fork();
  relay.decide = (sent) => {
    if (ofRelay.chance(0.0005)) return 'cut';
    return sent.includes('commit') && ofRelay.chance(0.01) ? 'lose-answer' : 'hand-on';
  };
  const over = new AbortController();
  const terminations = terminateSome(database, random.fork(), () => over.signal.aborted);
  const watch = stack.use(await Watch.begin(watched, random.fork()));
  const { text, report } = await runStorm(registry, ...load, '--duration', `${seconds}s`, '--seed', String(seed));
  over.abort();
  proxy.inject = () => undefined;
  relay.decide = () => 'hand-on';
  await terminations;
  await watch.endTrial(proxy.requests);
  await Promise.all(proxy.lateAnswers);
  console.log(
    `${text}\n${relay.cuts} connections cut, ${watch.purges.purged.length} purges, ${watch.missing.repaired} blobs repaired`,
  );
  console.log(`faults: ${faults.text}`);

  const isThrough = (): boolean => unfinishedIn(database).length === 0;
  await until('the collectors are through', isThrough, collectedWithinMs).catch(() => {
    const words = `the collectors have not come to an end with ${unfinishedIn(database).join(', ')}`;
    watch.findings.found({ invariant: 'I9', words });
  });
  const live = PostgresTables.at(database).rows<{ readonly oid: string; readonly digest: string }>(
    `select oid, digest from object where state = 'live'`,
  );
  await watch.conclude(live);
  console.log(`invariants, and how often it was looked whether each holds:\n${watch.findings.text}`);
  expect(watch.findings.broken).toEqual([]);
  expect(watch.findings.unseen).toEqual([]);
  expect(keysOfBlobs(await bucket.keys())).toEqual([...heldKeys(database)]);
  expect(s3.unfinishedUploads()).toBe(0);
  expect(registry.endedByThemselves).toEqual([]);
  expect(report.lost).toEqual([]);
  expect(report.wrong).toEqual([]);
  expect(watch.purges.purged.length).toBeGreaterThan(0);
  expect(watch.missing.missed).toBeGreaterThan(0);
  expect(watch.missing.repaired).toBeGreaterThan(0);
  expect(report.counts.pushesAcknowledged).toBeGreaterThan(seconds / 2);
  expect(faults.missing).toEqual([]);
  expect(proxy.lostAnswers).toContainEqual({ operation: 'CompleteMultipartUpload', status: 200 });
  await until('a request to which nothing is answered is sent again', () => proxy.sentAgain > 0, sentAgainWithinMs);
  await registry.stop();
});
