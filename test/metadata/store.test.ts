import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { all, change, first, type Operation } from '../../src/metadata/operation.ts';
import { upsertLink } from '../../src/metadata/queries/links.ts';
import { findRepository, insertRepository } from '../../src/metadata/queries/repositories.ts';
import { claimTasks, deleteTask, upsertTask } from '../../src/metadata/queries/tasks.ts';
import { query } from '../../src/metadata/query.ts';
import type { MetadataStore } from '../../src/metadata/store.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { parseRepositoryName, type RepositoryName } from '../../src/oci/names.ts';
import { forgetStoresBeside, openMetadata, storesBeside } from '../pairs/stores-beside.ts';

const app = repositoryName('team/app');
const other = repositoryName('team/other');
const digest = digestOf('sha256', Buffer.from('a layer'));
const ways = ['write', 'writeUnsynced'] as const;

const allRepositories = query<Record<never, never>>()(({ db }) =>
  db.selectFrom('repository').select('name').orderBy('name'),
);

function repositoryName(text: string): RepositoryName {
  const name = parseRepositoryName(text);
  if (name === undefined) throw new Error(`${text} is not a repository name`);
  return name;
}

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

function add(repo: RepositoryName): Operation<number> {
  return change(insertRepository, { repo, now: 0 });
}

async function names(): Promise<readonly string[]> {
  return (await store.read(() => all(allRepositories, {}))).map(({ name }) => name);
}

async function refusalOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it was not refused');
}

describe.each(ways)('%s', (way) => {
  test('returns what the operation returns, which sees its own changes', async () => {
    const found = await store[way](function* operation() {
      yield* add(app);
      return yield* first(findRepository, { repo: app });
    });
    expect(found).toBeDefined();
    expect(await names()).toEqual([app]);
  });

  test('leaves nothing of an operation that throws, and passes its error on', async () => {
    const failing = store[way](function* operation(): Operation<void> {
      yield* add(app);
      throw new Error('no');
    });
    expect(await refusalOf(failing)).toEqual(new Error('no'));
    expect(await names()).toEqual([]);
  });

  test('leaves nothing of an operation that a constraint refuses when it is committed', async () => {
    const failing = store[way](function* operation(): Operation<void> {
      yield* add(app);
      yield* change(upsertLink, { repo: app, digest, leaseUntil: 1, now: 0 });
    });
    expect(await refusalOf(failing)).toBeInstanceOf(Error);
    expect(await names()).toEqual([]);
    await store[way](() => add(other));
    expect(await names()).toEqual([other]);
  });

  test('takes none of those along that come at the same moment as one that fails', async () => {
    const third = repositoryName('team/third');
    const outcomes = await Promise.allSettled([
      store[way](() => add(app)),
      store[way](function* linksNothing(): Operation<void> {
        yield* add(other);
        yield* change(upsertLink, { repo: other, digest, leaseUntil: 0, now: 0 });
      }),
      store[way](() => add(third)),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await names()).toEqual([app, third]);
  });

  test('of many that come at once, each comes out as if it had run before or after every other (R43)', async () => {
    await store.write(() => add(app));
    /** Reads, and adds one more than it has read. */
    function* addNext(): Operation<void> {
      const before = (yield* all(allRepositories, {})).length;
      yield* add(repositoryName(`team/app${before}`));
    }
    await Promise.all(Array.from({ length: 20 }, () => store[way](addNext)));
    expect(await names()).toHaveLength(21);
  });

  test('has those told that watch', async () => {
    const told = Promise.withResolvers<void>();
    store.watch(() => told.resolve());
    await store[way](() => add(app));
    await told.promise;
  });
});

describe('a statement', () => {
  test('tells how many rows it has touched', async () => {
    const task = { kind: 'object', key1: 'file1', key2: '' } as const;
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
    expect(await names()).toEqual(repos.toSorted());
  });
});

describe('the store', () => {
  test('shows nothing of a transaction to others before it is committed', async () => {
    const adding = store.write(() => add(app));
    expect((await names()).length).toBeLessThanOrEqual(1);
    await adding;
    expect(await names()).toEqual([app]);
  });

  test('finds everything again when it is opened again', async () => {
    await store.write(() => add(app));
    await store.writeUnsynced(() => add(other));
    await store.close();
    store = await openMetadata(directory);
    expect(await names()).toEqual([app, other]);
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
