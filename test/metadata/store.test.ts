import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NewerSchemaError } from '../../src/metadata/migrations/newer-schema.ts';
import { all, change, first, type Operation } from '../../src/metadata/operation.ts';
import { upsertLink } from '../../src/metadata/queries/links.ts';
import { insertPendingObject, makeObjectLive } from '../../src/metadata/queries/objects.ts';
import { findRepository } from '../../src/metadata/queries/repositories.ts';
import { claimTasks, deleteTask, upsertTask } from '../../src/metadata/queries/tasks.ts';
import type { MetadataStore } from '../../src/metadata/store.ts';
import { digestOf } from '../../src/oci/digest.ts';
import type { RepositoryName } from '../../src/oci/names.ts';
import { refusalOf } from '../pairs/refusal.ts';
import { forgetStoresBeside, openMetadata, storesBeside } from '../pairs/stores-beside.ts';
import { add, allRepositories, app, namesIn, other, repositoryName, third } from './repositories.ts';

const digest = digestOf('sha256', Buffer.from('a layer'));
const ways = ['write', 'writeUnsynced'] as const;

let directory: string;
let store: MetadataStore;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'wherry-metadata-'));
  store = await openMetadata(directory);
});

afterEach(async () => {
  await store.close();
  forgetStoresBeside(directory);
  rmSync(directory, { recursive: true });
});

/** What a connection of its own sees: what is committed. */
function committedNames(): readonly string[] {
  const rows = storesBeside(directory).tables.rows<{ name: string }>('select name from repository order by name');
  return rows.map(({ name }) => name);
}

/** Leaves a repository with a layer that is not there, which a constraint refuses when it is committed. */
function* linksNothing(repo: RepositoryName): Operation<void> {
  yield* add(repo);
  yield* change(upsertLink, { repo, digest, leaseUntil: 1, now: 0 });
}

function* changesItsMind(repo: RepositoryName): Operation<void> {
  yield* add(repo);
  throw new Error('changed its mind');
}

describe.each(ways)('%s', (way) => {
  test('returns what the operation returns, which sees its own changes', async () => {
    const result = await store[way](function* operation() {
      const added = (yield* add(other)) + (yield* add(app));
      const found = yield* first(findRepository, { repo: app });
      const seen = yield* all(allRepositories, {});
      return { added, found: found?.name, seen: seen.map(({ name }) => name) };
    });
    expect(result).toEqual({ added: 2, found: app, seen: [app, other] });
  });

  test('is committed when it resolves, and all see it', async () => {
    await store[way](() => add(app));
    expect(committedNames()).toEqual([app]);
    expect(await namesIn(store)).toEqual([app]);
  });

  test('shows nobody what it has not committed', async () => {
    let seen: readonly string[] = ['not looked'];
    await store[way](function* operation(): Operation<void> {
      yield* add(app);
      seen = committedNames();
    });
    expect(seen).toEqual([]);
    expect(committedNames()).toEqual([app]);
  });

  test('leaves nothing of an operation that throws, and passes its error on', async () => {
    const problem = new Error('no');
    const failing = store[way](function* operation(): Operation<void> {
      yield* add(app);
      yield* add(other);
      throw problem;
    });
    expect(await refusalOf(failing)).toBe(problem);
    expect(await namesIn(store)).toEqual([]);
    expect(await store[way](() => add(app))).toBe(1);
    expect(committedNames()).toEqual([app]);
  });

  test('leaves nothing of an operation that a constraint refuses when it is committed', async () => {
    const failing = store[way](() => linksNothing(app));
    expect(String(await refusalOf(failing))).toMatch(/foreign key constraint/i);
    expect(committedNames()).toEqual([]);
    expect(await store[way](() => add(other))).toBe(1);
    expect(await namesIn(store)).toEqual([other]);
  });

  test('ends an operation at a statement that is refused, whatever the operation would do about it', async () => {
    const failing = store[way](function* operation(): Operation<void> {
      yield* add(other);
      try {
        yield* change(insertPendingObject, { oid: 'a' });
        yield* change(insertPendingObject, { oid: 'a' });
      } catch {
        yield* add(app);
      }
    });
    expect(String(await refusalOf(failing))).toMatch(/unique constraint/i);
    expect(committedNames()).toEqual([]);
  });

  test.each([
    ['throws', changesItsMind],
    ['a constraint refuses', linksNothing],
  ])('takes none of those along that come at the same moment as one that %s', async (_, failing) => {
    const outcomes = await Promise.allSettled([
      store.write(() => add(app)),
      store[way](() => failing(other)),
      store.writeUnsynced(() => add(third)),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(committedNames()).toEqual([app, third]);
  });

  test('tells of what became of the run that was committed, whatever one beside it has come to', async () => {
    /** Adds a repository, unless there is one already. */
    function* addFirst(): Operation<string> {
      if ((yield* all(allRepositories, {})).length > 0) return 'not the first';
      yield* add(app);
      return 'the first';
    }
    const outcomes = await Promise.allSettled([store.write(() => linksNothing(other)), store[way](addFirst)]);
    expect(outcomes[1]).toEqual({ status: 'fulfilled', value: 'the first' });
    expect(committedNames()).toEqual([app]);
  });

  test('of many that come at once, each comes out as if it had run before or after every other (R43)', async () => {
    await store.write(() => add(app));
    /** Reads, and adds one more than it has read. */
    function* addNext(): Operation<void> {
      const before = (yield* all(allRepositories, {})).length;
      yield* add(repositoryName(`team/app${before}`));
    }
    await Promise.all(Array.from({ length: 20 }, () => store[way](addNext)));
    expect(await namesIn(store)).toHaveLength(21);
  });

  test('has those told that watch', async () => {
    const told = Promise.withResolvers<void>();
    store.watch(() => told.resolve());
    await store[way](() => add(app));
    await told.promise;
  });
});

describe('an operation', () => {
  test('is made of others, in one transaction', async () => {
    function* addBoth(): Operation<number> {
      return (yield* add(app)) + (yield* add(other));
    }
    function* pushLayer(): Operation<readonly number[]> {
      const added = yield* addBoth();
      yield* change(insertPendingObject, { oid: 'file' });
      const made = yield* change(makeObjectLive, { oid: 'file', digest, size: 7 });
      const linked = yield* change(upsertLink, { repo: app, digest, leaseUntil: 0, now: 0 });
      return [added, made, linked];
    }
    expect(await store.write(pushLayer)).toEqual([2, 1, 1]);
    expect(await namesIn(store)).toEqual([app, other]);
  });
});

describe('a statement', () => {
  test.each([
    ['link', { kind: 'link', key1: app, key2: digest }],
    ['object', { kind: 'object', key1: 'file1', key2: '' }],
  ] as const)('tells how many rows it has touched, of reviews of a %s', async (_, task) => {
    const touched = await store.write(function* count(): Operation<number[]> {
      return [
        yield* add(app),
        yield* add(app),
        yield* change(upsertTask, { ...task, dueAt: 1 }),
        yield* change(upsertTask, { ...task, dueAt: 2 }),
        yield* change(deleteTask, task),
        yield* change(deleteTask, task),
      ];
    });
    expect(touched).toEqual([1, 0, 1, 1, 1, 0]);
  });

  test('is told where there is no row', async () => {
    expect(await store.read(() => first(findRepository, { repo: app }))).toBeUndefined();
    expect(await store.read(() => all(allRepositories, {}))).toEqual([]);
  });

  test('orders texts by their bytes', async () => {
    const repos = ['a-b', 'a/b', 'a.b', 'a0', 'a', 'a_b'].map(repositoryName);
    for (const repo of repos) await store.write(() => add(repo));
    expect(await namesIn(store)).toEqual(repos.toSorted());
  });
});

describe('a read', () => {
  test('sees what was committed before it in the same turn of the event loop, and nothing of what has failed', async () => {
    expect(await namesIn(store)).toEqual([]);
    await store.writeUnsynced(() => add(app));
    expect(await namesIn(store)).toEqual([app]);
    await refusalOf(store.writeUnsynced(() => changesItsMind(other)));
    expect(await namesIn(store)).toEqual([app]);
  });

  test('sees what another process has committed from the next turn of the event loop on', async () => {
    expect(await namesIn(store)).toEqual([]);
    storesBeside(directory).tables.change('insert into repository (name, created_at) values (?, 0)', app);
    await new Promise(setImmediate);
    expect(await namesIn(store)).toEqual([app]);
  });
});

describe('the store', () => {
  test('shows nothing of a transaction to others before it is committed', async () => {
    const adding = store.write(() => add(app));
    expect((await namesIn(store)).length).toBeLessThanOrEqual(1);
    await adding;
    expect(await namesIn(store)).toEqual([app]);
  });

  test('finds everything again when it is opened again', async () => {
    await store.write(() => add(app));
    await store.writeUnsynced(() => add(other));
    await store.close();
    store = await openMetadata(directory);
    expect(await namesIn(store)).toEqual([app, other]);
  });

  test('is ready until it is closed', async () => {
    await store.durable();
    expect(await store.isReady()).toBe(true);
    expect(await store.sizeBytes()).toBeGreaterThan(0);
    await store.close();
    expect(await store.isReady()).toBe(false);
    store = await openMetadata(directory);
    expect(await store.isReady()).toBe(true);
  });

  test('refuses a database of a newer version and leaves it to that one', async () => {
    await store.write(() => add(app));
    await store.close();
    const { tables } = storesBeside(directory);
    const ofThisVersion = tables.keep();
    tables.becomeNewer();
    expect(await refusalOf(openMetadata(directory))).toBeInstanceOf(NewerSchemaError);
    expect(committedNames()).toEqual([app]);
    ofThisVersion.putBack();
    store = await openMetadata(directory);
    expect(await namesIn(store)).toEqual([app]);
  });
});

test.each([
  ['empty', false],
  ['full', true],
])(
  'whoever claims so many reviews claims no more, and those that are due longest, where the database took the table for %s',
  async (_, wasFull) => {
    const numbers = Array.from({ length: 20 }, (_number, number) => `${number}`);
    const { tables } = storesBeside(directory);
    const askForReviews = async (): Promise<void> =>
      await store.write(function* due() {
        for (const key1 of numbers) yield* change(upsertTask, { kind: 'object', key1, key2: '', dueAt: Number(key1) });
      });
    await askForReviews();
    if (!wasFull) tables.change('delete from task');
    tables.change('analyze task');
    if (!wasFull) await askForReviews();
    const claimed: string[][] = [];
    for (const limit of [1, 1, 100]) {
      const rows = await store.write(() => all(claimTasks, { now: 1000, until: 2000, limit }));
      claimed.push(rows.map(({ key1 }) => key1).toSorted((a, b) => Number(a) - Number(b)));
    }
    expect(claimed).toEqual([numbers.slice(0, 1), numbers.slice(1, 2), numbers.slice(2)]);
  },
);
