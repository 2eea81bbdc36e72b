import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { sql } from 'kysely';
import { PostgresRecords } from '../../src/fsck/postgres/records.ts';
import { all, first, type Step } from '../../src/metadata/operation.ts';
import { applicationNames } from '../../src/metadata/postgres/application-name.ts';
import { PostgresMetadataStore } from '../../src/metadata/postgres/store.ts';
import { query } from '../../src/metadata/query.ts';
import { MetadataBusyError } from '../../src/metadata/store.ts';
import { PostgresTables } from '../pairs/tables.ts';
import { refusalOf } from '../pairs/refusal.ts';
import { add, allRepositories, app, namesIn, other, third } from '../metadata/repositories.ts';
import { until } from '../server/until.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres });

const backend = query<Record<never, never>>()(({ db }) => db.selectNoFrom(sql<number>`pg_backend_pid()`.as('pid')));

let url: string;
let store: PostgresMetadataStore;

beforeEach(async () => {
  url = await storage.postgres.newDatabase();
  store = await PostgresMetadataStore.open(url);
});

afterEach(async () => {
  await store.close();
});

test('the options of an address count, and keep none of those from counting that the registry needs', async () => {
  PostgresTables.at(url).change('create schema elsewhere');
  const options = encodeURIComponent('-c search_path=elsewhere -c enable_seqscan=on -c jit=on -c work_mem=5MB');
  const asking = `${url}?options=${options}`;
  const settings = query<Record<never, never>>()(({ db }) =>
    db.selectNoFrom([
      sql<string>`current_setting('search_path')`.as('path'),
      sql<string>`current_setting('enable_seqscan')`.as('scans'),
      sql<string>`current_setting('jit')`.as('compiles'),
      sql<string>`current_setting('work_mem')`.as('memory'),
    ]),
  );
  const asker = await PostgresMetadataStore.open(asking);
  const needed = { scans: 'off', compiles: 'off' };
  expect(await asker.read(() => first(settings, {}))).toEqual({ path: 'elsewhere', ...needed, memory: '5MB' });
  await asker.write(() => add(app));
  expect(await namesIn(asker)).toEqual([app]);
  expect(await namesIn(store)).toEqual([]);
  await asker.close();
  await using records = await PostgresRecords.open(asking);
  const [row] = await records.all(
    `select current_setting('enable_hashjoin') as joins, current_setting('jit') as compiles, name from repository`,
  );
  expect(row).toEqual({ joins: 'off', compiles: 'off', name: app });
});

describe('a database that goes away', () => {
  test('is said to be busy and not ready, and is found again by itself', async () => {
    await store.write(() => add(app));
    await storage.postgres.halt();
    expect(await store.isReady()).toBeFalse();
    expect(await refusalOf(store.write(() => add(other)))).toBeInstanceOf(MetadataBusyError);
    expect(await refusalOf(store.read(() => all(allRepositories, {})))).toBeInstanceOf(MetadataBusyError);
    await storage.postgres.goOn();
    expect(await store.isReady()).toBeTrue();
    await store.write(() => add(other));
    expect(await namesIn(store)).toEqual([app, other]);
  });

  test('is said to be busy while it lets the registry not in any more, with what nobody else is told, and then found again', async () => {
    const tables = PostgresTables.at(url);
    tables.change('create role visitor login superuser');
    const visiting = new URL(url);
    visiting.username = 'visitor';
    const visitor = await PostgresMetadataStore.open(visiting.href);
    tables.change('alter role visitor nologin');
    tables.change(`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'visitor'`);
    for (const use of [() => visitor.read(() => all(allRepositories, {})), () => visitor.write(() => add(app))]) {
      const refusal = await refusalOf(use());
      expect(refusal).toBeInstanceOf(MetadataBusyError);
      expect(String(refusal)).not.toContain('visitor');
    }
    tables.change('alter role visitor login');
    await until('it is tried again', async () => (await visitor.write(() => add(app)).catch(() => 'no')) !== 'no');
    await visitor.close();
  });

  test('that was restarted meanwhile refuses nothing that comes after', async () => {
    await Promise.all([app, other].map((repo) => store.write(() => add(repo))));
    await storage.postgres.restart();
    expect(await namesIn(store)).toEqual([app, other]);
    await store.write(() => add(third));
    expect(await namesIn(store)).toHaveLength(3);
  });

  test('that stops with its connections open is said to be busy, and is asked on another connection from then on', async () => {
    const impatient = await PostgresMetadataStore.open(url, { connections: 1, answerTimeoutMs: 3000 });
    const pid = async (): Promise<number> => (await impatient.read(() => first(backend, {})))?.pid ?? 0;
    for (const use of [() => impatient.read(() => all(allRepositories, {})), () => impatient.write(() => add(app))]) {
      const stopped = await pid();
      process.kill(stopped, 'SIGSTOP');
      try {
        expect(await refusalOf(use())).toBeInstanceOf(MetadataBusyError);
        expect(await pid()).not.toBe(stopped);
      } finally {
        process.kill(stopped, 'SIGCONT');
      }
    }
    await impatient.close();
  });

  test('that stops with its connections open is soon not ready, however long a request may wait for it', async () => {
    const patient = await PostgresMetadataStore.open(url, { connections: 1, answerTimeoutMs: 3_600_000 });
    const stopped = (await patient.read(() => first(backend, {})))?.pid ?? 0;
    process.kill(stopped, 'SIGSTOP');
    try {
      expect(await patient.isReady()).toBeFalse();
      expect(await patient.isReady()).toBeTrue();
    } finally {
      process.kill(stopped, 'SIGCONT');
    }
    await patient.close();
  });
});

describe('while all of its connections are in use, a store', () => {
  let busy: PostgresMetadataStore;
  let release: () => void;
  let reading: readonly Promise<unknown>[];

  /** Reads that go on until they are let go, on all connections. */
  async function useAll(connections: number): Promise<void> {
    const released = Promise.withResolvers<void>();
    release = released.resolve;
    let begun = 0;
    const pause: Step = {
      execute: () => undefined,
      async executeLater() {
        begun++;
        await released.promise;
      },
    };
    reading = Array.from({ length: connections }, () =>
      busy.read(function* operation() {
        yield pause;
      }),
    );
    await until('all are in use', () => begun === connections);
  }

  beforeEach(async () => {
    busy = await PostgresMetadataStore.open(url, { connections: 2 });
    let heard = 0;
    busy.onAnnouncement(() => heard++);
    await until('it listens', () => heard > 0);
    await useAll(2);
  });

  afterEach(async () => {
    release();
    await Promise.all(reading);
    await busy.close();
  });

  test('is ready if the database answers', async () => {
    expect(await busy.isReady()).toBeTrue();
    release();
    await Promise.all(reading);
    expect(await busy.isReady()).toBeTrue();
  });

  test('is not if nothing answers, and says so before a request gives up that waits for a connection', async () => {
    const [listening] = PostgresTables.at(url).rows<{ pid: number }>(
      `select pid from pg_stat_activity where application_name = '${applicationNames.listening}' and datname = current_database()`,
    );
    if (listening === undefined) throw new Error('it listens');
    process.kill(listening.pid, 'SIGSTOP');
    try {
      const waiting = refusalOf(busy.read(() => all(allRepositories, {})));
      expect(await Promise.race([waiting, busy.isReady()])).toBeFalse();
      expect(await waiting).toBeInstanceOf(MetadataBusyError);
    } finally {
      process.kill(listening.pid, 'SIGCONT');
    }
    expect(await busy.isReady()).toBeTrue();
  }, 20_000);
});

/** In how many ms the kernel asks the other ends of idle connections to a port whether they are there; undefined where never. */
function askedInMs(port: number): readonly (number | undefined)[] {
  const clockTicksPerSecond = 100;
  const remote = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const established = '01';
  const keepalive = '02';
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , to, state]) => to?.endsWith(remote) === true && state === established)
    .map(([, , , , , timer]) => timer?.split(':') ?? [])
    .map(([kind, left = '0']) =>
      kind === keepalive ? (Number.parseInt(left, 16) * 1000) / clockTicksPerSecond : undefined,
    );
}

test('of each connection on which nothing comes it is soon asked whether its other end is there', async () => {
  store.onAnnouncement(() => undefined);
  await Promise.all([namesIn(store), namesIn(store)]);
  const port = Number(new URL(url).port);
  await until('the connections are idle', () => !askedInMs(port).includes(undefined));
  const asked = askedInMs(port);
  expect(asked.length).toBeGreaterThanOrEqual(2);
  for (const ms of asked) expect(ms).toBeLessThanOrEqual(10_000);
});
