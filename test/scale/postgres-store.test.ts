import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { sql } from 'kysely';
import { Client, DatabaseError } from 'pg';
import { PostgresRecords } from '../../src/fsck/postgres/records.ts';
import { migrations } from '../../src/metadata/migrations/all.ts';
import { all, change, first, type Operation, type Step } from '../../src/metadata/operation.ts';
import { applicationNames } from '../../src/metadata/postgres/application-name.ts';
import { forgetOldRows } from '../../src/metadata/postgres/old-rows.ts';
import { PostgresMetadataStore } from '../../src/metadata/postgres/store.ts';
import { findTask, setTask, upsertTask } from '../../src/metadata/queries/tasks.ts';
import { query } from '../../src/metadata/query.ts';
import { MetadataBusyError, RegistryReadOnlyError, UnstorableTextError } from '../../src/metadata/store.ts';
import { PostgresTables } from '../pairs/tables.ts';
import { refusalOf } from '../pairs/refusal.ts';
import { add, allRepositories, app, namesIn, other, third } from '../metadata/repositories.ts';
import { until } from '../server/until.ts';
import { CuttingRelay } from './cutting-relay.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres });

const backend = query<Record<never, never>>()(({ db }) => db.selectNoFrom(sql<number>`pg_backend_pid()`.as('pid')));
const countTasks = query<Record<never, never>>()(({ db }) =>
  db.selectFrom('task').select(({ fn }) => fn.countAll<number>().as('count')),
);

let url: string;
let store: PostgresMetadataStore;

beforeEach(async () => {
  url = await storage.postgres.newDatabase();
  store = await PostgresMetadataStore.open(url);
});

afterEach(async () => {
  await store.close();
});

/** Adds as many tasks as there are: two that run side by side would add too few. */
function* doubled(name: string): Operation<void> {
  const found = yield* first(countTasks, {});
  for (let added = 0; added < (found?.count ?? 0); added++) {
    yield* change(upsertTask, { kind: 'object', key1: name, key2: String(added), dueAt: 1 });
  }
}

describe('a write', () => {
  test('comes out as if it had run before or after every other, in however many processes (R43, R44)', async () => {
    const processes = await Promise.all([1, 2, 3].map(() => PostgresMetadataStore.open(url)));
    await store.write(() => change(upsertTask, { kind: 'object', key1: 'first', key2: '', dueAt: 1 }));
    await Promise.all(processes.flatMap((one, index) => [0, 1].map((n) => one.write(() => doubled(`${index}.${n}`)))));
    expect(await store.read(() => first(countTasks, {}))).toEqual({ count: 64 });
    await Promise.all(processes.map((one) => one.close()));
  });
});

test('a text with a NUL character is told apart from a failure of the database', async () => {
  const task = { kind: 'object', key1: 'a\0b', key2: '', dueAt: 1 } as const;
  expect(await refusalOf(store.write(() => change(upsertTask, task)))).toBeInstanceOf(UnstorableTextError);
});

describe('a write that goes by no rows but its own', () => {
  /** Has a task due later by one, and says when. */
  function* later(): Operation<number> {
    const task = { kind: 'object', key1: 'it', key2: '' } as const;
    const { due_at: dueAt = 0 } = (yield* first(findTask, task)) ?? {};
    yield* change(setTask, { ...task, dueAt: dueAt + 1, attempts: 0, claimedUntil: 0 });
    return dueAt + 1;
  }

  test('comes out as if it had run before or after every other that changes them (R31)', async () => {
    const another = await PostgresMetadataStore.open(url);
    await store.write(later);
    const writes = [1, 2, 3, 4, 5, 6].flatMap(() => [
      store.write(later, { byOwnRows: true }),
      another.write(later, { byOwnRows: true }),
      another.write(later),
    ]);
    const dueAts = await Promise.all(writes);
    expect(dueAts.toSorted((a, b) => a - b)).toEqual(Array.from({ length: writes.length }, (_, at) => at + 2));
    await another.close();
  });

  test('is refused while the registry is read-only', async () => {
    const set = query<Record<never, never>>()(({ db }) =>
      db.insertInto('read_only').values({ name: 'registry', reason: 'a test', set_by: 'x', set_at: 0, token: 'x' }),
    );
    await store.write(() => change(set, {}));
    expect(await refusalOf(store.write(later, { byOwnRows: true }))).toBeInstanceOf(RegistryReadOnlyError);
  });
});

describe('transactions that have met', () => {
  test('twice go alone among all processes, and those that come meanwhile after them', async () => {
    const another = await PostgresMetadataStore.open(url);
    const client = new Client({ connectionString: url });
    await client.connect();
    const waiting = async (): Promise<boolean> =>
      (await client.query(`select 1 from pg_locks where relation = 'read_only'::regclass and not granted`)).rows
        .length > 0;
    await store.write(() => change(upsertTask, { kind: 'object', key1: 'first', key2: '', dueAt: 1 }));
    let tried = 0;
    let later: Promise<unknown> | undefined;
    const meetSomebody: Step = {
      execute: () => undefined,
      async executeLater() {
        const name = `other ${++tried}`;
        const others = another.write(() => doubled(name));
        if (tried <= 2) {
          await others;
          return;
        }
        later = others;
        await until('the other waits', waiting);
      },
    };
    await store.write(function* met(): Operation<void> {
      const found = yield* first(countTasks, {});
      yield meetSomebody;
      yield* change(upsertTask, { kind: 'object', key1: 'met', key2: String(found?.count), dueAt: 1 });
    });
    await later;
    expect(tried).toBe(3);
    // Doubled, doubled, one more, doubled.
    expect(await store.read(() => first(countTasks, {}))).toEqual({ count: 10 });
    await Promise.all([another.close(), client.end()]);
  });

  test('go on beside one that has been stopped while it went alone', async () => {
    const stopped = new Client({ connectionString: url });
    await stopped.connect();
    await stopped.query('begin; lock table read_only in exclusive mode');
    // It waits for it once, and not again for a while.
    for (const name of ['one', 'two', 'three']) {
      await store.write(() => change(upsertTask, { kind: 'object', key1: name, key2: '', dueAt: 1 }));
    }
    expect(await store.read(() => first(countTasks, {}))).toEqual({ count: 3 });
    await stopped.end();
  }, 15_000);

  test('go on beside one that has been stopped', async () => {
    const another = await PostgresMetadataStore.open(url);
    const stopped = new Client({ connectionString: url });
    await stopped.connect();
    await stopped.query('begin; lock table read_only in row share mode');
    await store.write(() => change(upsertTask, { kind: 'object', key1: 'first', key2: '', dueAt: 1 }));
    await Promise.all([store, another].flatMap((one, at) => [0, 1].map((n) => one.write(() => doubled(`${at}.${n}`)))));
    expect(await store.read(() => first(countTasks, {}))).toEqual({ count: 16 });
    await Promise.all([another.close(), stopped.end()]);
  });

  test('go in turn still after one that waited for a row for longer than its address lets it', async () => {
    const task = { kind: 'object', key1: 'it', key2: '' } as const;
    await store.write(() => change(upsertTask, { ...task, dueAt: 1 }));
    const options = encodeURIComponent('-c lock_timeout=50');
    const hasty = await PostgresMetadataStore.open(`${url}?options=${options}`);
    const holder = new Client({ connectionString: url });
    await holder.connect();
    await holder.query('begin; select 1 from task for update');
    let tried = 0;
    const waiting = hasty.write(() => {
      tried++;
      return change(setTask, { ...task, dueAt: 2, attempts: 0, claimedUntil: 0 });
    });
    expect(await refusalOf(waiting)).toBeInstanceOf(MetadataBusyError);
    expect(tried).toBe(1);
    const turnLocks = query<Record<never, never>>()(({ db }) =>
      db.selectNoFrom(
        sql<number>`(select count(*) from pg_locks where pid = pg_backend_pid() and relation = 'read_only'::regclass
          and mode = 'RowShareLock')`.as('count'),
      ),
    );
    expect(await hasty.write(() => first(turnLocks, {}))).toEqual({ count: 1 });
    await Promise.all([hasty.close(), holder.end()]);
  });

  describe('and one of the same process that stands still', () => {
    let here: PostgresMetadataStore;
    let holding: Promise<void> | undefined;
    let held: PromiseWithResolvers<void>;
    let release: PromiseWithResolvers<void>;

    beforeEach(async () => {
      [held, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      const statement = async <T>(send: () => Promise<T>): Promise<T> => {
        const released = holding;
        holding = undefined;
        if (released !== undefined) held.resolve();
        await released;
        return await send();
      };
      here = await PostgresMetadataStore.open(url, { calls: { statement } });
    });

    afterEach(async () => {
      release.resolve();
      await here.close();
    });

    function* added(name: string): Operation<void> {
      yield* change(upsertTask, { kind: 'object', key1: name, key2: '', dueAt: 1 });
    }

    /** Meets somebody twice, and then nobody. */
    async function addAfterMeetingTwice(name: string, inStead = (): void => undefined): Promise<void> {
      const client = new Client({ connectionString: url });
      await client.connect();
      let tried = 0;
      const meet: Step = {
        execute: () => undefined,
        async executeLater() {
          tried++;
          if (tried <= 2) await client.query('do $$ begin raise serialization_failure; end $$');
          inStead();
        },
      };
      await here.write(function* met(): Operation<void> {
        yield meet;
        yield* added(name);
      });
      await client.end();
    }

    test('do not wait for it for long, nor does anybody who comes after them', async () => {
      holding = release.promise;
      const standing = here.write(() => added('standing'));
      await held.promise;
      const met = addAfterMeetingTwice('met');
      await until('it has met twice', () => here.meetings.serialization === 2);
      await Promise.all([met, ...['one', 'two'].map((name) => here.write(() => added(name)))]);
      expect(await here.read(() => first(countTasks, {}))).toEqual({ count: 3 });
      release.resolve();
      await standing;
      expect(await here.read(() => first(countTasks, {}))).toEqual({ count: 4 });
    }, 15_000);

    test('are not waited for for long where it is one of them, which goes alone', async () => {
      const standing = addAfterMeetingTwice('standing', () => {
        if (here.meetings.serialization === 2) holding = release.promise;
      });
      await held.promise;
      await Promise.all(['one', 'two'].map((name) => here.write(() => added(name))));
      expect(await store.read(() => first(countTasks, {}))).toEqual({ count: 2 });
      release.resolve();
      // The database may have ended it, where this took for long.
      await standing.catch((error: unknown) => expect(error).toBeInstanceOf(MetadataBusyError));
    }, 15_000);
  });

  test('are counted', async () => {
    const another = await PostgresMetadataStore.open(url);
    await store.write(() => change(upsertTask, { kind: 'object', key1: 'first', key2: '', dueAt: 1 }));
    await Promise.all(
      [0, 1, 2].flatMap((n) => [store.write(() => doubled(`a${n}`)), another.write(() => doubled(`b${n}`))]),
    );
    const counted = [store, another].map(({ meetings }) => meetings.serialization);
    expect(Math.max(...counted)).toBeGreaterThan(0);
    await another.close();
  });
});

describe('a read', () => {
  test('of several statements sees one state, whatever is committed in between', async () => {
    let began: (() => void) | undefined;
    const waiting = new Promise<void>((resolve) => (began = resolve));
    const release = Promise.withResolvers<void>();
    /** A statement that lets others go on before it is over. */
    const pause: Step = {
      execute: () => undefined,
      async executeLater() {
        began?.();
        await release.promise;
      },
    };
    const reading = store.read(function* operation() {
      const before = yield* all(allRepositories, {});
      yield pause;
      const after = yield* all(allRepositories, {});
      return [before, after];
    });
    await waiting;
    await store.write(() => add(app));
    release.resolve();
    expect(await reading).toEqual([[], []]);
    expect(await namesIn(store)).toEqual([app]);
  });

  test('gives numbers as numbers, conditions as 0 and 1, and bytes as bytes', async () => {
    const values = query<Record<never, never>>()(({ db }) =>
      db.selectNoFrom([
        sql<number>`cast(9007199254740991 as bigint)`.as('integer'),
        sql<number>`cast(7 as integer)`.as('small'),
        sql<number>`1 = 1`.as('condition'),
        sql<string>`'7'`.as('text'),
        sql<Uint8Array>`decode('00ff', 'hex')`.as('bytes'),
      ]),
    );
    expect(await store.read(() => first(values, {}))).toEqual({
      integer: 9_007_199_254_740_991,
      small: 7,
      condition: 1,
      text: '7',
      bytes: Uint8Array.of(0, 255),
    });
  });
});

describe('the schema', () => {
  test('is made once by processes that start at once', async () => {
    const fresh = await storage.postgres.newDatabase();
    const started = await Promise.all(Array.from({ length: 10 }, () => PostgresMetadataStore.open(fresh)));
    await Promise.all(started.map((one) => one.close()));
    const client = new Client({ connectionString: fresh });
    await client.connect();
    const { rows } = await client.query<{ number: string }>('select number from schema_migration order by number');
    await client.end();
    expect(rows.map(({ number }) => Number(number))).toEqual(migrations.map(({ number }) => number));
  });
});

test('the options of an address count, and keep none of those from counting that the registry needs', async () => {
  PostgresTables.at(url).change('create schema elsewhere');
  const options = encodeURIComponent('-c search_path=elsewhere -c enable_seqscan=on -c work_mem=5MB');
  const asking = `${url}?options=${options}`;
  const settings = query<Record<never, never>>()(({ db }) =>
    db.selectNoFrom([
      sql<string>`current_setting('search_path')`.as('path'),
      sql<string>`current_setting('enable_seqscan')`.as('scans'),
      sql<string>`current_setting('work_mem')`.as('memory'),
    ]),
  );
  const asker = await PostgresMetadataStore.open(asking);
  expect(await asker.read(() => first(settings, {}))).toEqual({ path: 'elsewhere', scans: 'off', memory: '5MB' });
  await asker.write(() => add(app));
  expect(await namesIn(asker)).toEqual([app]);
  expect(await namesIn(store)).toEqual([]);
  await asker.close();
  await using records = await PostgresRecords.open(asking);
  const [row] = await records.all(`select current_setting('enable_hashjoin') as joins, name from repository`);
  expect(row).toEqual({ joins: 'off', name: app });
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

describe('what was written without waiting for the disk', () => {
  test('is on it for who asks for all that has been seen', async () => {
    const client = new Client({ connectionString: url });
    await client.connect();
    const ask = async (what: string): Promise<unknown> =>
      (await client.query<{ answer: unknown }>(`select ${what} as answer`)).rows[0]?.answer;
    // It would be there soon in any case.
    const flusher = Number(await ask(`(select pid from pg_stat_activity where backend_type = 'walwriter')`));
    process.kill(flusher, 'SIGSTOP');
    try {
      await store.writeUnsynced(() => add(app));
      const end = String(await ask('pg_current_wal_insert_lsn()'));
      await store.durable();
      expect(await ask(`pg_current_wal_flush_lsn() >= '${end}'`)).toBeFalse();
      await store.durable('all');
      expect(await ask(`pg_current_wal_flush_lsn() >= '${end}'`)).toBeTrue();
    } finally {
      process.kill(flusher, 'SIGCONT');
      await client.end();
    }
  });
});

describe('rows that were removed', () => {
  const times = { statementMs: 30_000, answerMs: 30_000 };
  const once = { mostMs: 0, lookMs: 0 };
  let client: Client;
  let somebody: Client;

  beforeEach(async () => {
    [client, somebody] = [new Client({ connectionString: url }), new Client({ connectionString: url })];
    await Promise.all([client.connect(), somebody.connect()]);
  });

  afterEach(async () => {
    await Promise.all([client.end(), somebody.end()]);
  });

  test.each([
    ['reads a state with them', 'select 1', 'rollback'],
    ['began to write before', 'select pg_current_xact_id()', 'rollback'],
    [
      'has prepared a transaction before',
      `select pg_current_xact_id(); prepare transaction 'before'`,
      `rollback prepared 'before'`,
    ],
  ])('are not said to be gone while somebody %s', async (_, keep, giveUp) => {
    const isolation = keep === 'select 1' ? 'repeatable read' : 'read committed';
    await somebody.query(`begin isolation level ${isolation}; ${keep}`);
    await store.write(() => add(app));
    expect(await forgetOldRows(client, times, once)).toBeFalse();
    await somebody.query(giveUp);
    expect(await forgetOldRows(client, times, once)).toBeTrue();
  });

  test('are given up on another connection where nothing is heard any more of the one on which that was under way', async () => {
    using relay = new CuttingRelay(Number(new URL(url).port));
    const impatient = await PostgresMetadataStore.open(relay.addressOf(url), { vacuumTimeoutMs: 100 });
    relay.decide = (sent) => (sent.includes('vacuum manifest') ? 'fall-silent' : 'hand-on');
    expect(await refusalOf(impatient.forgetOldPages())).toBeInstanceOf(MetadataBusyError);
    relay.decide = () => 'hand-on';
    // What may be given up after so short a time is tried again, as a purge does.
    const isKept = async (): Promise<boolean> => (await impatient.forgetOldPages().catch(() => 'no')) === 'kept';
    await until('they are gone', isKept);
    await impatient.close();
  }, 60_000);

  test('are not waited for for longer than that may take, and it takes no part of the time of what comes after', async () => {
    await somebody.query('begin; lock table manifest in share update exclusive mode');
    const hasty = { ...times, statementMs: 50 };
    expect(await refusalOf(forgetOldRows(client, hasty, once))).toBeInstanceOf(DatabaseError);
    const { rows } = await client.query('show statement_timeout');
    expect(rows).toEqual([{ statement_timeout: '0' }]);
  });
});

test('says what time it is for all who share the database', async () => {
  const before = Date.now();
  const time = await store.time();
  expect(time).toBeGreaterThanOrEqual(Math.floor(before));
  expect(time).toBeLessThanOrEqual(Date.now() + 1);
});
