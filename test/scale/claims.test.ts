import { afterEach, beforeEach, expect, test } from 'bun:test';
import { Client } from 'pg';
import { claimDue, type Task } from '../../src/collector/queue.ts';
import { change, type Operation, type Step } from '../../src/metadata/operation.ts';
import { PostgresMetadataStore } from '../../src/metadata/postgres/store.ts';
import { upsertTask } from '../../src/metadata/queries/tasks.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres });
const now = 1_000;
/** Who waits for a row that somebody has is refused after this, in ms. */
const statementTimeoutMs = 2_000;

let url: string;
let one: PostgresMetadataStore;
let two: PostgresMetadataStore;

beforeEach(async () => {
  url = await storage.postgres.newDatabase();
  one = await PostgresMetadataStore.open(url, { statementTimeoutMs });
  two = await PostgresMetadataStore.open(url, { statementTimeoutMs });
  await one.write(function* enqueue(): Operation<void> {
    for (const dueAt of [1, 2, 3, 4, 5, 6]) {
      yield* change(upsertTask, { kind: 'object', key1: `due at ${dueAt}`, key2: '', dueAt });
    }
  });
});

afterEach(async () => {
  await Promise.all([one.close(), two.close()]);
});

function claim(store: PostgresMetadataStore, limit: number): Promise<readonly Task[]> {
  return store.writeUnsynced(() => claimDue(now, limit), { byOwnRows: true });
}

function dueAts(tasks: readonly Task[]): readonly number[] {
  return tasks.map((task) => task.due_at);
}

test('a task that a transaction of somebody else has is left to it, and the others are claimed at once', async () => {
  const somebody = new Client({ connectionString: url });
  await somebody.connect();
  await somebody.query(`begin; select 1 from task order by due_at limit 1 for update`);
  expect(dueAts(await claim(one, 3))).toEqual([2, 3, 4]);
  await somebody.query('rollback');
  expect(dueAts(await claim(two, 3))).toEqual([1, 5, 6]);
  await somebody.end();
});

test('two processes that claim at once share nothing, and neither waits for the other', async () => {
  const claimed = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  /** Has the transaction go on for as long as the other one takes. */
  const pause: Step = {
    execute: () => undefined,
    async executeLater() {
      claimed.resolve();
      await release.promise;
    },
  };
  const first = one.writeUnsynced(
    function* slowClaim(): Operation<readonly Task[]> {
      const tasks = yield* claimDue(now, 4);
      yield pause;
      return tasks;
    },
    { byOwnRows: true },
  );
  await claimed.promise;
  const second = await claim(two, 4).finally(() => release.resolve());
  expect(dueAts(await first)).toEqual([1, 2, 3, 4]);
  expect(dueAts(second)).toEqual([5, 6]);
  expect([one.meetings, two.meetings]).toEqual([
    { serialization: 0, deadlock: 0, constraint: 0 },
    { serialization: 0, deadlock: 0, constraint: 0 },
  ]);
});
