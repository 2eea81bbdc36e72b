import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { sql } from 'kysely';
import { Client } from 'pg';
import { change, first, type Operation, type Step } from '../../src/metadata/operation.ts';
import { PostgresMetadataStore } from '../../src/metadata/postgres/store.ts';
import { findTask, setTask, upsertTask } from '../../src/metadata/queries/tasks.ts';
import { query } from '../../src/metadata/query.ts';
import { MetadataBusyError, RegistryReadOnlyError } from '../../src/metadata/store.ts';
import { refusalOf } from '../pairs/refusal.ts';
import { until } from '../server/until.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres });

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
