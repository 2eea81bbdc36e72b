import { afterAll, beforeAll, beforeEach, expect, setDefaultTimeout, test } from 'bun:test';
import { S3BlobStore } from '../../../src/blobs/s3/store.ts';
import { PostgresMetadataStore } from '../../../src/metadata/postgres/store.ts';
import { SeededRandom } from '../../../src/storm/seeded-random.ts';
import { PostgresTables } from '../../pairs/tables.ts';
import { until } from '../../server/until.ts';
import { InjectingProxy } from '../injecting-proxy.ts';
import { type MinioServer, startMinio } from '../minio-server.ts';
import { type PostgresServer, startPostgres } from '../postgres-server.ts';
import { AcknowledgedWrites } from './acknowledged-writes.ts';
import { Beside } from './beside.ts';
import { judgeChanges } from './broken-changes.ts';
import { BucketLooks } from './bucket-looks.ts';
import { CleanAnswers } from './clean-answers.ts';
import { lookAtRows } from './committed-states.ts';
import { lookAtRowsOfDeletes, lookForListings, lookForScans, scansOf } from './cost.ts';
import { contentTables } from './content-tables.ts';
import { Findings, type Invariant } from './findings.ts';
import { MissingBytes } from './missing-bytes.ts';
import { noteChanges, notedChanges } from './noted-changes.ts';
import { PullsOfEverything } from './pulls-of-everything.ts';
import { PurgingClient } from './purging-client.ts';
import { RepeatedReviews } from './repeated-reviews.ts';

// Who watches the watch: each invariant is broken by hand, and is to be missed by its number.

setDefaultTimeout(120_000);

const leaseMs = 60_000;
const [digest, other] = [`sha256:${'1'.repeat(64)}`, `sha256:${'2'.repeat(64)}`];
const oid = 'a'.repeat(32);
const far = Date.now() + 3_600_000;

let postgres: PostgresServer;
let s3: MinioServer;
let database: string;
let beside: Beside;
let findings: Findings;

beforeAll(async () => {
  [postgres, s3] = await Promise.all([startPostgres(), startMinio()]);
  database = await postgres.newDatabase();
  await (await PostgresMetadataStore.open(database)).close();
  const tables = PostgresTables.at(database);
  // Constraints that no role passes over.
  tables.change('alter table object drop constraint object_live_digest_key cascade');
  beside = await Beside.connect(database);
  await noteChanges(beside);
  Object.assign(process.env, s3.environment);
});

afterAll(async () => {
  await beside[Symbol.asyncDispose]();
  await Promise.all([postgres.stop(), s3.stop()]);
});

const emptied = [...contentTables, 'task', 'event'];

beforeEach(() => {
  const tables = PostgresTables.at(database);
  for (const table of emptied) tables.change(`delete from ${table}`);
  tables.change('delete from noted.change');
  findings = new Findings();
});

function expectBroken(invariant: Invariant, words = ''): void {
  expect(findings.broken.filter((line) => line.startsWith(`${invariant}, `)).join('\n')).toContain(words);
  expect(findings.broken.some((line) => line.startsWith(`${invariant}, `))).toBe(true);
}

const object = (state: string, id = oid): string =>
  `insert into object (oid, digest, state, due_at) values ('${id}', '${digest}', '${state}', 1)`;
const link = (leaseUntil = 0): string =>
  `insert into link (repo, digest, lease_until, created_at) values ('r', '${digest}', ${leaseUntil}, 0)`;
const manifest = (of: string, state = 'live', leaseUntil = 0): string =>
  `insert into manifest (repo, digest, media_type, kind, state, trash_until, lease_until, pushed_at, size_bytes, bytes)
   values ('r', '${of}', 'x', 'image', '${state}', ${state === 'live' ? 'null' : far}, ${leaseUntil}, 0, 0, '')`;
const blobEdge = `insert into manifest_blob (repo, manifest, digest, size_bytes, link_digest)
                  values ('r', '${other}', '${digest}', 0, '${digest}')`;
const childEdge = `insert into manifest_child (repo, parent, child, present_child) values ('r', '${digest}', '${other}', '${other}')`;
const tag = `insert into tag (repo, name, manifest, moved_at, pushed_at, touched_at) values ('r', 't', '${digest}', 0, 0, 0)`;
const block = `insert into blocked (digest, blocked_at, reason) values ('${digest}', 0, '')`;
const upload = `insert into upload (id, repo, oid, state, algorithm, opened_at, touched_at) values ('u', 'r', '${oid}', 'open', 'sha256', 0, 0)`;

const brokenStates: readonly (readonly [Invariant, string, readonly string[]])[] = [
  ['I2', 'two live objects', [object('live'), object('live', 'b'.repeat(32))]],
  ['I3', 'without a live object', [object('condemned'), link()]],
  ['I4', 'without the link', [blobEdge]],
  ['I5', 'without a manifest', [manifest(digest), childEdge]],
  ['I5', 'is in the trash', [manifest(digest), manifest(other, 'trashed'), childEdge]],
  ['I6', 'without a visible manifest', [manifest(digest, 'trashed'), tag]],
  ['I9', 'an object that nothing', [object('pending')]],
  ['I9', 'a live object that nothing', [object('live')]],
  ['I9', 'a link that no manifest', [object('live'), link()]],
  ['I9', 'a manifest that nothing', [manifest(digest)]],
  ['I9', 'an open upload', [object('pending'), upload]],
  ['I11', 'is kept out', [block, object('live')]],
];

test.each(brokenStates)('%s, rows: %s', async (invariant, words, statements) => {
  for (const statement of statements) PostgresTables.at(database).change(statement);
  await lookAtRows(beside, findings);
  expectBroken(invariant, words);
});

const brokenChanges: readonly (readonly [Invariant, string, readonly string[]])[] = [
  ['I2', 'is used again', [object('dead'), 'delete from object', object('pending')]],
  ['I2', 'from dead to live', [object('dead'), `update object set state = 'live'`]],
  ['I2', 'from live to gone', [object('live'), 'delete from object']],
  [
    'I8',
    'was condemned though r',
    [object('pending'), link(), `update object set state = 'live'`, `update object set state = 'condemned'`],
  ],
  ['I8', 'died alive', [object('live'), `update object set state = 'dead'`]],
  ['I8', 'inside its lease', [link(far), 'delete from link']],
  ['I8', 'its lease went on', [manifest(digest, 'live', far), 'delete from manifest']],
  ['I8', 'in the trash was not over', [manifest(digest, 'trashed'), 'delete from manifest']],
  ['I8', 'it had a tag', [manifest(digest), tag, 'delete from manifest']],
  ['I8', 'an index listed it', [manifest(other), childEdge, 'delete from manifest']],
  [
    'I8',
    'before its time',
    [
      `insert into tag_trash (repo, name, manifest, trashed_at, purge_after) values ('r', 't', '${digest}', 0, ${far})`,
      'delete from tag_trash',
    ],
  ],
  ['I11', 'became live', [object('pending'), block, `update object set state = 'live'`]],
  ['I11', 'was linked', [block, link()]],
];

test.each(brokenChanges)('%s, changes: %s', async (invariant, words, statements) => {
  for (const statement of statements) PostgresTables.at(database).change(statement);
  judgeChanges(await notedChanges(beside), findings);
  expectBroken(invariant, words);
});

test('I1 and I9, the bucket: a live object without its key, and a key without a row', async () => {
  const bucket = await s3.newBucket();
  const blobs = await S3BlobStore.open({ ...bucket.settings, prefix: '' });
  const writer = await blobs.append('c'.repeat(32), 0);
  await writer.write(new Uint8Array(10));
  const progress = await writer.close();
  await blobs.sync('c'.repeat(32), { progress, epoch: 1 });
  PostgresTables.at(database).change(object('live'));
  const looks = new BucketLooks(bucket, beside, findings);
  await looks.look();
  await looks.look();
  expectBroken('I1', oid);
  expectBroken('I9', 'has no row');
});

/** A registry that gives one answer, whatever it is asked. */
function answering(status: number, body = ''): Bun.Server<undefined> {
  return Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: () => new Response(status === 204 ? null : body, { status }),
  });
}

/** Has a client go on for a while. */
async function goOn(client: { goOnUntil(isOver: () => boolean): Promise<void> }): Promise<void> {
  let turns = 0;
  await client.goOnUntil(() => turns++ > 2);
}

/** A registry that acknowledges every push, of which it does nothing but what it is told here. */
function acknowledging(pushed: (digest: string) => void): Bun.Server<undefined> {
  return Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch({ url }) {
      const of = new URL(url).searchParams.get('digest');
      if (of === null) return new Response('', { status: 202, headers: { location: '/v2/aside/session' } });
      pushed(of);
      return new Response('', { status: 201 });
    },
  });
}

test.each([
  ['is not in the database', undefined],
  ['is leased for less than half a lease', leaseMs / 4],
] as const)('I7: a 201 of what %s', async (_what, leasedMs) => {
  const tables = PostgresTables.at(database);
  using registry = acknowledging((pushed) => {
    if (leasedMs === undefined) return;
    tables.change(object('live', pushed.slice(7, 39)).replace(digest, pushed));
    tables.change(
      link(Date.now() + leasedMs)
        .replace(digest, pushed)
        .replace(`'r'`, `'aside/acknowledged'`),
    );
  });
  const answers = new CleanAnswers([registry.url.origin], findings);
  const writes = new AcknowledgedWrites({ answers, beside, random: new SeededRandom(1), findings, leaseMs });
  await goOn(writes);
  expectBroken('I7', 'aside/acknowledged, which is not so');
});

test.each([
  ['500', 500, '500'],
  ['503 without Retry-After', 503, '503 without Retry-After'],
  ['other bytes', 200, 'other bytes'],
  ['404 for what is there', 404, 'which was there all the time'],
  ['410, which nobody has asked for', 410, '410'],
] as const)('I10: %s', async (_what, status, words) => {
  using registry = answering(status, 'no');
  for (const statement of [object('live'), link(far)]) PostgresTables.at(database).change(statement);
  const answers = new CleanAnswers([registry.url.origin], findings);
  await goOn(new PullsOfEverything({ answers, beside, findings, leaseMs, isDamaged: () => false }));
  expectBroken('I10', words);
});

test('I10: 200 for what is gone', async () => {
  using registry = answering(200, 'abc');
  const abc = `sha256:${new Bun.CryptoHasher('sha256').update('abc').digest('hex')}`;
  for (const statement of [link(), 'delete from link'])
    PostgresTables.at(database).change(statement.replace(digest, abc));
  const answers = new CleanAnswers([registry.url.origin], findings);
  await goOn(new PullsOfEverything({ answers, beside, findings, leaseMs, isDamaged: () => false }));
  expectBroken('I10', 'which was not there');
});

test('I10: 500 for what has lost its bytes', async () => {
  using registry = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch({ method, url }) {
      const pushed = new URL(url).searchParams.get('digest');
      if (pushed !== null)
        PostgresTables.at(database).change(object('live', pushed.slice(7, 39)).replace(digest, pushed));
      return new Response('', { status: method === 'POST' ? 201 : 500 });
    },
  });
  const bucket = await s3.newBucket();
  const blobs = await S3BlobStore.open({ ...bucket.settings, prefix: '' });
  const answers = new CleanAnswers([registry.url.origin], findings);
  let turns = 0;
  await new MissingBytes({ answers, beside, findings, blobs, oids: new Set() }).goOnUntil(() => turns++ > 0);
  expectBroken('I10', '500');
});

test('I11: what was purged is given, and taken', async () => {
  let pushed: Uint8Array<ArrayBuffer> = new Uint8Array();
  using registry = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      if (request.method === 'POST') pushed = new Uint8Array(await request.arrayBuffer());
      return request.method === 'POST' ? new Response('', { status: 201 }) : new Response(pushed);
    },
  });
  const answers = new CleanAnswers([registry.url.origin], findings);
  const purges = new PurgingClient(answers, findings, () => Promise.resolve(new Response()));
  let turns = 0;
  await purges.goOnUntil(() => turns++ > 0);
  expectBroken('I11', 'was answered with 200');
  expectBroken('I11', 'was answered with 201');
});

test('I12: a second review that takes something away', async () => {
  const bucket = await s3.newBucket();
  const blobs = await S3BlobStore.open({ ...bucket.settings, prefix: '' });
  PostgresTables.at(database).change(object('live'));
  PostgresTables.at(database).change(`insert into task (kind, key1, due_at) values ('object', '${oid}', 0)`);
  PostgresTables.at(database).change('delete from task');
  const reviews = new RepeatedReviews(beside, findings).repeatAll(blobs, bucket);
  const tables = PostgresTables.at(database);
  const look = async (): Promise<void> => {
    while (tables.rows('select * from task').length === 0) await Bun.sleep(1);
    tables.change('delete from object');
    tables.change('delete from task');
  };
  await Promise.all([reviews, look()]);
  expectBroken('I12', oid);
});

test('I13: a table is read through, the bucket listed, and a delete changes what it has nothing to do with', async () => {
  const bucket = await s3.newBucket();
  await using proxy = new InjectingProxy(s3.endpoint);
  const before = await scansOf(beside);
  PostgresTables.at(database).rows('select count(*) as n from manifest where last_pulled_at = 7');
  await until('it is counted', async () => {
    await lookForScans(beside, findings, before);
    return findings.broken.length > 0;
  });
  expectBroken('I13', 'manifest was read through');

  findings = new Findings();
  const settings = { ...bucket.settings, prefix: '', endpoint: proxy.endpoint };
  const blobs = await S3BlobStore.open(settings);
  await blobs.registries();
  lookForListings(proxy.requests, findings);
  expectBroken('I13', 'registries/');

  findings = new Findings();
  PostgresTables.at(database).change(
    `with made as (insert into event (at, kind, repo, digest, actor, result)
                   values (0, 'manifest.deleted', 'r', '${digest}', '', 'done') returning 1)
     insert into task (kind, key1, due_at) select 'object', number::text, 0 from generate_series(1, 100) as number, made`,
  );
  lookAtRowsOfDeletes(await notedChanges(beside), findings);
  expectBroken('I13', 'changed 101 rows');
});
