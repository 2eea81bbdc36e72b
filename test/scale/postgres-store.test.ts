import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { sql } from 'kysely';
import { Client, DatabaseError } from 'pg';
import { migrations } from '../../src/metadata/migrations/all.ts';
import { all, change, first, type Step } from '../../src/metadata/operation.ts';
import { forgetOldRows } from '../../src/metadata/postgres/old-rows.ts';
import { PostgresMetadataStore } from '../../src/metadata/postgres/store.ts';
import { upsertTask } from '../../src/metadata/queries/tasks.ts';
import { query } from '../../src/metadata/query.ts';
import { MetadataBusyError, UnstorableTextError } from '../../src/metadata/store.ts';
import { refusalOf } from '../pairs/refusal.ts';
import { add, allRepositories, app, namesIn } from '../metadata/repositories.ts';
import { until } from '../server/until.ts';
import { CuttingRelay } from './cutting-relay.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres });

let url: string;
let store: PostgresMetadataStore;

beforeEach(async () => {
  url = await storage.postgres.newDatabase();
  store = await PostgresMetadataStore.open(url);
});

afterEach(async () => {
  await store.close();
});

test('a text with a NUL character is told apart from a failure of the database', async () => {
  const task = { kind: 'object', key1: 'a\0b', key2: '', dueAt: 1 } as const;
  expect(await refusalOf(store.write(() => change(upsertTask, task)))).toBeInstanceOf(UnstorableTextError);
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
