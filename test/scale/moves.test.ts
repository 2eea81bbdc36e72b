import { expect, setDefaultTimeout, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { stringify } from 'yaml';
import { z } from 'zod';
import { S3BlobStore } from '../../src/blobs/s3/store.ts';
import { BucketTarget } from '../../src/moving/bucket-target.ts';
import { applicationNames } from '../../src/metadata/postgres/application-name.ts';
import type { MovedDatabase } from '../../src/moving/database.ts';
import { PostgresDatabase } from '../../src/moving/postgres-database.ts';
import { SqliteDatabase } from '../../src/moving/sqlite-database.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { pushImage } from '../admin/pushed-images.ts';
import { freshBytes } from '../http/content.ts';
import { ServedRegistry, type Settings } from '../http/served-registry.ts';
import { makeTemplate } from '../pairs/template.ts';
import { expectFurnished, furnish, rowsOf } from '../moving/furnished-registry.ts';
import { Pushing } from '../moving/pushing.ts';
import { SqliteTables } from '../pairs/tables.ts';
import { TemporaryDirectory } from '../server/temporary-directory.ts';
import { until } from '../server/until.ts';
import { startMinio } from './minio-server.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';
import { startTestedS3 } from './tested-s3.ts';

const storage = new StorageServers({ postgres: startPostgres, s3: startTestedS3 });

setDefaultTimeout(180_000);

type Metadata = 'SQLite' | 'PostgreSQL';
type Blobs = 'directory' | 'S3';
type Pair = readonly [Metadata, Blobs];

/** Settings for a pair of stores that are empty, with a data directory. */
async function placeOf([metadata, blobs]: Pair): Promise<Settings> {
  const bucket = blobs === 'S3' ? await storage.s3.newBucket() : undefined;
  return {
    metadata: metadata === 'SQLite' ? 'sqlite' : await storage.postgres.newDatabase(),
    ...(bucket === undefined
      ? { blobs: 'directory' }
      : { blobs: `s3://${bucket.name}/${bucket.settings.prefix}`, 's3.endpoint': storage.s3.endpoint }),
  };
}

async function databaseIn(settings: Settings, data: string): Promise<MovedDatabase> {
  const { metadata = 'sqlite' } = settings;
  return metadata === 'sqlite' ? SqliteDatabase.openForReading(data) : await PostgresDatabase.open(metadata);
}

function configFile(directory: string, name: string, settings: Settings): string {
  const { 's3.endpoint': endpoint, ...rest } = settings;
  const path = join(directory, `${name}.yaml`);
  writeFileSync(path, stringify({ ...rest, ...(endpoint !== undefined && { s3: { endpoint } }) }));
  return path;
}

function migrate(from: string, to: string, ...flags: readonly string[]) {
  return Bun.spawn([process.execPath, 'src/main.ts', 'migrate', '--config', from, '--to-config', to, ...flags], {
    env: process.env,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
}

/** The same where everything else is in the environment and in flags. */
async function migrateIn(environment: Readonly<Record<string, string>>, ...flags: readonly string[]) {
  const moving = Bun.spawn([process.execPath, 'src/main.ts', 'migrate', ...flags], {
    env: { ...process.env, ...environment },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err, code] = await Promise.all([moving.stdout.text(), moving.stderr.text(), moving.exited]);
  return { out, err, code };
}

/** Kills it with -9 once it says that it has come to a phase. Says what it told until it ended, by itself or not. */
async function killAt(phase: string, moving: ReturnType<typeof migrate>): Promise<string> {
  const decoder = new TextDecoder();
  let told = '';
  for await (const bytes of moving.stderr) {
    told += decoder.decode(bytes, { stream: true });
    if (told.includes(phase)) moving.kill('SIGKILL');
  }
  await moving.exited;
  return told;
}

/** The same where a person sits: what is shown, and how it ended. */
async function migrateOnTerminal(from: string, to: string): Promise<{ readonly shown: string; readonly code: number }> {
  const decoder = new TextDecoder();
  let shown = '';
  const moving = Bun.spawn([process.execPath, 'src/main.ts', 'migrate', '--config', from, '--to-config', to], {
    env: process.env,
    terminal: { cols: 200, data: (_, bytes) => void (shown += decoder.decode(bytes)) },
  });
  const code = await moving.exited;
  return { shown, code };
}

const pairs: readonly Pair[] = [
  ['SQLite', 'directory'],
  ['SQLite', 'S3'],
  ['PostgreSQL', 'directory'],
  ['PostgreSQL', 'S3'],
];
const moves = pairs.flatMap((from) => pairs.filter((to) => to !== from).map((to) => ({ from, to })));

test.each(moves)(
  'a registry moves from $from to $to while it serves, is killed meanwhile, and all of it is there',
  async ({ from, to }) => {
    using directory = new TemporaryDirectory('moves');
    const [before, after] = [await placeOf(from), await placeOf(to)];
    const isMetadataMoved = from[0] !== to[0];
    const areBlobsMoved = from[1] !== to[1];
    // What stays where it is keeps its place.
    const target: Settings = {
      ...before,
      ...(isMetadataMoved && { metadata: after['metadata'] ?? '' }),
      ...(areBlobsMoved && {
        blobs: after['blobs'] ?? '',
        ...(after['s3.endpoint'] !== undefined && { 's3.endpoint': after['s3.endpoint'] }),
      }),
    };
    const registry = await ServedRegistry.start(before);
    let pushing: Pushing | undefined;
    // A command that works on the database itself goes by the machine's clock.
    registry.clock.set(Date.now() - registry.clock.now());
    try {
      await registry.limit([{ repositories: 'team/**', bytes: { hard: '1GiB' } }], before);
      const furniture = await furnish(registry);
      const old = configFile(directory.path, 'old', { ...before, data: registry.dataDirectory });
      const next = configFile(directory.path, 'next', { ...target, data: registry.dataDirectory });
      for (let blobs = 0; blobs < 8; blobs++) await registry.pushBlob('team/many', freshBytes(100_000));

      const over = new AbortController();
      pushing = new Pushing(registry);
      const failures: number[] = [];
      const pulling = (async () => {
        while (!over.signal.aborted) {
          for (const { repo, reference, image } of furniture.images) {
            for (const path of [`manifests/${reference}`, `blobs/${image.blobs[0]}`]) {
              const answer = await registry.send(`/v2/${repo}/${path}`);
              if (answer.status !== 200) failures.push(answer.status);
              await answer.bytes();
            }
          }
        }
      })();
      const phases = [
        ...(areBlobsMoved ? ['Copying blobs, while everything is served', 'Copying the blobs that have come'] : []),
        ...(isMetadataMoved ? ['Copying the metadata'] : []),
      ];
      const between: string[] = [];
      let told = '';
      for (const phase of phases) {
        const killed = migrate(old, next, '--rate', '8MiB', '--at-once', '1');
        told += await killAt(phase, killed);
        // It may have been faster than the kill, and have moved the registry.
        if (killed.signalCode === null) break;
        const switched = await registry.admin('POST', '/readonly/off', { isForced: true });
        expect(switched.status).toBe(200);
        const tag = `killed-${between.length}`;
        await pushImage(registry, 'team/one', { tags: [tag] });
        between.push(tag);
      }
      const moving = migrate(old, next, '--json');
      const [out, err, code] = await Promise.all([moving.stdout.text(), moving.stderr.text(), moving.exited]);
      over.abort();
      await Promise.all([pulling, pushing.stop()]);
      expect({ code, err, out }).toMatchObject({ code: 0 });
      expect(told + err).toContain('wherry fsck has found 0 losses');
      expect(failures).toEqual([]);
      expect(pushing.refusals).toEqual(new Set([503]));
      expect((await registry.send('/v2/team/one/blobs/uploads/', { method: 'POST' })).status).toBe(503);
      if (isMetadataMoved) {
        await using was = await databaseIn(before, registry.dataDirectory);
        await using is = await databaseIn(target, registry.dataDirectory);
        const [wasRows, isRows] = [await rowsOf(was), await rowsOf(is)];
        for (const [table, rows] of wasRows) {
          if (areBlobsMoved && ['object', 'upload', 'task'].includes(table)) continue;
          const found = isRows.get(table) ?? [];
          if (table !== 'event') {
            expect({ table, rows: found }).toEqual({ table, rows });
            continue;
          }
          const copied = found.slice(0, -1);
          expect(copied).toEqual(rows.slice(0, copied.length));
          expect(rows.length - copied.length).toBe(1);
          expect(found.at(-1)).toMatchObject({ kind: 'readonly.off', actor: 'wherry migrate' });
          expect(Number(found.at(-1)?.['id'])).toBeGreaterThan(Number(rows.at(-1)?.['id']));
        }
      }
      await registry.stop();
      await registry.resume(target);
      if (!isMetadataMoved) expect((await registry.admin('POST', '/readonly/off', {})).status).toBe(200);
      const goesOn = areBlobsMoved ? 'begins anew' : 'goes on';
      await expectFurnished(registry, furniture, isMetadataMoved && areBlobsMoved ? 'is gone' : goesOn);
      for (const tag of between) expect((await registry.send(`/v2/team/one/manifests/${tag}`)).status).toBe(200);
      for (const digest of pushing.acknowledged) {
        expect((await registry.send(`/v2/team/busy/blobs/${digest}`)).status).toBe(200);
      }
    } finally {
      await pushing?.stop();
      await registry[Symbol.asyncDispose]();
    }
  },
);

test('a registry that a process of an older version serves too is not moved before that one has ended, and then shows how far it is', async () => {
  using directory = new TemporaryDirectory('moves');
  const before = await placeOf(['PostgreSQL', 'directory']);
  await using registry = await ServedRegistry.start(before);
  const old = configFile(directory.path, 'old', { ...before, data: registry.dataDirectory });
  const next = configFile(directory.path, 'next', {
    metadata: 'sqlite',
    blobs: 'directory',
    data: join(directory.path, 'next'),
  });
  // As versions name themselves that do not say which schema they know.
  const older = new Client({ connectionString: before['metadata'], application_name: 'wherry' });
  await older.connect();
  const stopped = migrate(old, next);
  expect(await stopped.exited).toBe(1);
  expect(await stopped.stderr.text()).toContain('processes of an older version serve the registry');
  await pushImage(registry, 'app', { tags: ['1'] });
  await older.end();
  const { shown, code } = await migrateOnTerminal(old, next);
  expect(code).toBe(0);
  expect(shown).toMatch(/\[[# ]{30}\] +\d+ % [\d,]+ of [\d,]+ bytes \([\d,]+ blobs copied\)/);
});

test('what is moved out of PostgreSQL includes what transactions were about to change, and waits for nobody else who reads', async () => {
  const url = await storage.postgres.newDatabase();
  await makeTemplate(url);
  const connect = async (name: string) => {
    const client = new Client({ connectionString: url, application_name: name });
    await client.connect();
    return client;
  };
  // As the registry's transactions that go by their own rows only, and as those who read for long.
  const changing = await connect(applicationNames.usual);
  const others = [await connect('pg_dump'), await connect('wherry fsck')];
  const looking = await connect('psql');
  for (const client of [changing, ...others]) {
    await client.query('begin isolation level repeatable read; select from read_only');
  }
  await using database = await PostgresDatabase.open(url);
  let isRead = false;
  const reading = database.snapshot(async () => {
    isRead = true;
    return await database.all(`select name from repository`);
  });
  const locks = `select from pg_stat_activity where application_name = 'wherry migrate' and query like '%pg_locks%'`;
  await until('it looks for them', async () => (await looking.query(locks)).rowCount === 1);
  expect(isRead).toBe(false);
  await changing.query(`insert into repository (name, created_at) values ('late', 0)`);
  await changing.query('commit');
  expect(await reading).toEqual([{ name: 'late' }]);
  for (const client of [changing, ...others, looking]) await client.end();
});

test('what is not to stay in a new bucket goes with its versions, its pieces and its unfinished uploads', async () => {
  const bucket = await storage.s3.newBucket({ isVersioned: true });
  const store = await S3BlobStore.open(bucket.settings);
  const target = new BucketTarget(bucket.settings, store);
  const blobOf = (oid: string, bytes: Uint8Array) => ({
    oid,
    digest: digestOf('sha256', bytes),
    sizeBytes: bytes.byteLength,
  });
  const [kept, other, unfinished] = ['0', '1', '2'].map((digit) => `ab${digit.repeat(30)}`);
  if (kept === undefined || other === undefined || unfinished === undefined) throw new Error('all are there');
  const bytes = freshBytes(1000);
  for (const oid of [kept, other, other]) await target.put(blobOf(oid, bytes), new Blob([bytes]).stream());
  // As a try leaves it that was killed.
  const writer = await store.append(unfinished, 0, { progress: '', epoch: 1 });
  const writing = writer.write(freshBytes(6 * 1024 ** 2));
  if (writing !== undefined) await writing;
  await writer.close('more');
  await target.keepOnly('ab', new Set([kept]));
  const names = (await bucket.keys()).filter((key) => key.includes('/ab/')).map((key) => key.slice(-kept.length));
  expect(names).toEqual([kept]);
  expect(await bucket.uploads()).toEqual([]);
  expect(await target.present('ab')).toEqual(new Set([kept]));
});

test('a registry moves to PostgreSQL with texts that SQLite keeps and PostgreSQL does not', async () => {
  using directory = new TemporaryDirectory('moves');
  await using registry = await ServedRegistry.start(await placeOf(['SQLite', 'directory']));
  await registry.pushBlob('team/app', freshBytes());
  new SqliteTables(registry.dataDirectory).change(`update event set reason = 'why' || char(0) || 'not'`);
  const target = await placeOf(['PostgreSQL', 'directory']);
  const old = configFile(directory.path, 'old', { data: registry.dataDirectory });
  const next = configFile(directory.path, 'next', { ...target, data: registry.dataDirectory });
  const moving = migrate(old, next);
  const [err, code] = await Promise.all([moving.stderr.text(), moving.exited]);
  expect({ code, err }).toMatchObject({ code: 0 });
  await using is = await databaseIn(target, registry.dataDirectory);
  const [event] = await is.all('select reason from event order by id limit 1');
  expect(event).toEqual({ reason: 'why\uFFFDnot' });
});

test('a registry whose places are in the environment moves as far as the file of the new place says, and is checked there', async () => {
  using directory = new TemporaryDirectory('moves');
  const before = await placeOf(['PostgreSQL', 'directory']);
  const { metadata = '' } = before;
  const { metadata: _, ...target } = await placeOf(['SQLite', 'S3']);
  await using registry = await ServedRegistry.start(before);
  await pushImage(registry, 'team/one', { tags: ['1'] });
  const next = configFile(directory.path, 'next', target);
  const environment = {
    WHERRY_DATA: registry.dataDirectory,
    WHERRY_METADATA: metadata,
    WHERRY_BLOBS: 'directory',
    // Of a server that is not there.
    WHERRY_S3_ENDPOINT: 'http://127.0.0.1:1',
    WHERRY_S3_PATH_STYLE: 'on',
  };
  const { out, err, code } = await migrateIn(environment, '--to-config', next, '--json');
  expect({ code, err, out }).toMatchObject({ code: 0 });
  expect(err).toContain('wherry fsck has found 0 losses');
  const { settings } = z.object({ settings: z.unknown() }).parse(JSON.parse(out));
  expect(settings).toMatchObject({ data: registry.dataDirectory, metadata, blobs: target['blobs'] });
});

test('a registry moves from one bucket to another that takes other credentials, which a profile has', async () => {
  using directory = new TemporaryDirectory('moves');
  const keys = { accessKeyId: 'somebody', secretAccessKey: 'somebody-secret' };
  const elsewhere = await startMinio(undefined, keys);
  try {
    const bucket = await elsewhere.newBucket();
    const before = await placeOf(['SQLite', 'S3']);
    await using registry = await ServedRegistry.start(before);
    await pushImage(registry, 'team/one', { tags: ['1'] });
    const files = join(directory.path, 'credentials');
    writeFileSync(
      files,
      `[new]\naws_access_key_id = ${keys.accessKeyId}\naws_secret_access_key = ${keys.secretAccessKey}\n`,
    );
    const old = configFile(directory.path, 'old', { ...before, data: registry.dataDirectory });
    const next = join(directory.path, 'next.yaml');
    const s3 = { endpoint: elsewhere.endpoint, profile: 'new' };
    writeFileSync(next, stringify({ data: registry.dataDirectory, blobs: `s3://${bucket.name}/blobs`, s3 }));
    const flags = ['--config', old, '--to-config', next, '--json'];
    const { out, err, code } = await migrateIn({ AWS_SHARED_CREDENTIALS_FILE: files }, ...flags);
    expect({ code, err }).toMatchObject({ code: 0 });
    expect(err).toContain('wherry fsck has found 0 losses');
    expect(z.object({ settings: z.unknown() }).parse(JSON.parse(out)).settings).toMatchObject({
      s3: { profile: 'new' },
    });
  } finally {
    await elsewhere.stop();
  }
});

test('a registry that was started by flags moves by the same flags, and where they are left out nothing is made in the new place', async () => {
  const bucket = await storage.s3.newBucket();
  const before = await placeOf(['PostgreSQL', 'directory']);
  await using registry = await ServedRegistry.start(before);
  await pushImage(registry, 'team/one', { tags: ['1'] });
  const data = ['--data', registry.dataDirectory];
  const target = ['--s3-endpoint', storage.s3.endpoint, '--to-blobs', `s3://${bucket.name}/blobs/`];
  const stopped = await migrateIn({}, ...data, ...target);
  expect(stopped).toMatchObject({ code: 1, out: '' });
  expect(stopped.err).toContain('say with --config or --metadata where the registry has its metadata now');
  expect(await bucket.keys()).toEqual([]);
  const { err, code } = await migrateIn({}, ...data, '--metadata', before['metadata'] ?? '', ...target);
  expect({ code, err }).toMatchObject({ code: 0 });
  expect(err).toContain('wherry fsck has found 0 losses');
  expect(await bucket.keys()).toContain('blobs/generation');
});
