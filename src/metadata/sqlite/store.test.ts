import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { refusalOf } from '../../../test/pairs/refusal.ts';
import {
  add,
  allRepositories,
  app,
  namesIn,
  other,
  repositoryName,
  third,
} from '../../../test/metadata/repositories.ts';
import { all, change, type Operation, type Step } from '../operation.ts';
import { deleteEmptyRepository } from '../queries/removals.ts';
import { MetadataBrokenError, MetadataBusyError, MetadataFullError } from '../store.ts';
import { SqliteMetadataStore } from './store.ts';

let directory: string;
let store: SqliteMetadataStore;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'wherry-metadata-'));
  store = SqliteMetadataStore.open(directory);
});

afterEach(async () => {
  await store.close();
  rmSync(directory, { recursive: true });
});

/** What a connection of its own sees: what is committed. */
function committedNames(): readonly string[] {
  using connection = new Database(join(directory, 'wherry.db'), { readonly: true });
  const statement = connection.prepare<{ name: string }, []>('select name from repository order by name');
  try {
    return statement.all().map(({ name }) => name);
  } finally {
    statement.finalize();
  }
}

/** Lets everything happen that waits for nothing but its turn. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
}

describe('operations that come at once', () => {
  /** How many transactions the work took. */
  async function commitsOf(work: () => Promise<unknown>): Promise<number> {
    const before = store.commits;
    await work();
    return store.commits - before;
  }

  test('share one transaction', async () => {
    const some = ['team/a', 'team/b', 'team/c'].map(repositoryName);
    expect(await commitsOf(async () => await Promise.all(some.map((repo) => store.write(() => add(repo)))))).toBe(1);
    expect(committedNames()).toEqual(some);
  });

  test('share the next one where a sync is under way that they would have to wait for', async () => {
    const syncs: (() => void)[] = [];
    await store.close();
    store = SqliteMetadataStore.open(directory, {
      calls: { syncLog: (_descriptor, done) => void syncs.push(() => done(null)) },
    });
    const endSync = () => syncs.shift()?.();
    const some = ['team/a', 'team/b', 'team/c', 'team/d'].map(repositoryName);
    const writing: Promise<number>[] = [];
    for (const repo of some) {
      writing.push(store.write(() => add(repo)));
      await turns();
    }
    expect(committedNames()).toEqual(some.slice(0, 1));
    const commits = await commitsOf(async () => {
      endSync();
      await turns();
    });
    expect([commits, committedNames()]).toEqual([1, some]);
    endSync();
    await Promise.all(writing);
  });

  test('see what those before them have written, and reads see none of it before it is committed', async () => {
    const adding = store.write(() => add(app));
    const seen = store.write(function* look(): Operation<number> {
      return (yield* all(allRepositories, {})).length;
    });
    expect(await namesIn(store)).toEqual([]);
    expect([await adding, await seen]).toEqual([1, 1]);
    expect(await namesIn(store)).toEqual([app]);
  });
});

describe('what was written without waiting for the disk', () => {
  test('is on it for who asks for all that has been seen, and only once', async () => {
    await store.close();
    let syncs = 0;
    store = SqliteMetadataStore.open(directory, {
      calls: {
        syncLog(_descriptor, done) {
          syncs++;
          setImmediate(done, null);
        },
      },
    });
    await store.writeUnsynced(() => add(app));
    await store.durable();
    expect(syncs).toBe(0);
    await Promise.all([store.durable('all'), store.durable('all')]);
    expect(syncs).toBe(1);
    await store.durable('all');
    expect(syncs).toBe(1);
    await store.writeUnsynced(() => add(other));
    await store.write(() => add(third));
    expect(syncs).toBe(2);
    await store.durable('all');
    expect(syncs).toBe(2);
  });
});

describe('a failed sync of the log', () => {
  test('keeps later operations from being done at all', async () => {
    await store.close();
    const broken = Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
    store = SqliteMetadataStore.open(directory, {
      calls: { syncLog: (_descriptor, done) => void setImmediate(done, broken) },
    });
    expect(await refusalOf(store.write(() => add(app)))).toBeInstanceOf(MetadataBrokenError);
    for (const way of ['write', 'writeUnsynced'] as const) {
      expect(await refusalOf(store[way](() => add(other)))).toBeInstanceOf(MetadataBrokenError);
    }
    expect(await refusalOf(store.durable())).toBeInstanceOf(MetadataBrokenError);
    expect(committedNames()).toEqual([app]);
    expect(await store.isReady()).toBe(false);
  });
});

describe('a full disk', () => {
  let released = 0;
  let isReserveThere = true;

  beforeEach(async () => {
    await store.close();
    released = 0;
    isReserveThere = true;
    store = SqliteMetadataStore.open(directory, {
      reserve: {
        release() {
          if (!isReserveThere) return false;
          isReserveThere = false;
          released++;
          return true;
        },
      },
    });
  });

  /** A statement that finds no room, with the error that SQLite has for it, as long as `isFull`. */
  function meetsFullDisk(isFull: () => boolean): Step {
    return {
      execute() {
        using full = new Database(':memory:');
        full.run('create table filler (bytes blob)');
        full.run('pragma max_page_count = 2');
        if (isFull()) full.run('insert into filler values (zeroblob(10000))');
      },
      async executeLater() {},
    };
  }

  function* addOnFullDisk(isFull: () => boolean): Operation<number> {
    const added = yield* add(app);
    yield meetsFullDisk(isFull);
    return added;
  }

  test.each(['write', 'writeUnsynced'] as const)('lets %s use the reserve where it may', async (way) => {
    const added = await store[way](() => addOnFullDisk(() => released === 0), { fromReserve: true });
    expect([added, released]).toEqual([1, 1]);
    expect(committedNames()).toEqual([app]);
  });

  test.each(['write', 'writeUnsynced'] as const)('refuses %s where it may not use the reserve', async (way) => {
    expect(await refusalOf(store[way](() => addOnFullDisk(() => released === 0)))).toBeInstanceOf(MetadataFullError);
    expect(released).toBe(0);
    expect(committedNames()).toEqual([]);
    expect(await store[way](() => add(other))).toBe(1);
  });

  test('refuses what finds no room even so, and what comes when the reserve is gone', async () => {
    for (const expected of [1, 1]) {
      const refused = store.write(() => addOnFullDisk(() => true), { fromReserve: true });
      expect(await refusalOf(refused)).toBeInstanceOf(MetadataFullError);
      expect(released).toBe(expected);
    }
    expect(committedNames()).toEqual([]);
    expect(await store.write(() => add(other))).toBe(1);
  });

  test('has the log moved into the database first, whose room is then used again', async () => {
    for (let count = 0; count < 50; count++) await store.write(() => add(repositoryName(`team/app${count}`)));
    const log = join(directory, 'wherry.db-wal');
    const logBytes = statSync(log).size;
    let attempts = 0;
    await store.write(() => addOnFullDisk(() => attempts++ === 0));
    for (let count = 50; count < 60; count++) await store.write(() => add(repositoryName(`team/app${count}`)));
    expect(released).toBe(0);
    expect(statSync(log).size).toBe(logBytes);
    expect(committedNames()).toHaveLength(61);
  });
});

describe('the store', () => {
  test('finds everything that was committed when a process ended without closing it', async () => {
    await store.write(() => add(app));
    await store.writeUnsynced(() => add(other));
    // What such a process leaves behind: the log stands beside the database, and nobody holds a lock.
    const left = join(directory, 'left');
    mkdirSync(left);
    for (const file of ['wherry.db', 'wherry.db-wal']) copyFileSync(join(directory, file), join(left, file));
    const next = SqliteMetadataStore.open(left);
    try {
      expect(await namesIn(next)).toEqual([app, other]);
      expect(await next.write(() => add(app))).toBe(0);
    } finally {
      await next.close();
    }
  });

  test('keeps its log until it is closed', async () => {
    const log = join(directory, 'wherry.db-wal');
    expect(existsSync(log)).toBe(true);
    await store.write(() => add(app));
    await store.close();
    expect(existsSync(log)).toBe(false);
    store = SqliteMetadataStore.open(directory);
    expect(existsSync(log)).toBe(true);
  });

  test('keeps what was written before it is closed, and refuses what comes while it closes', async () => {
    const before = store.write(() => add(app));
    const closing = store.close();
    const after = refusalOf(store.write(() => add(other)));
    expect(await namesIn(store)).toEqual([app]);
    await closing;
    const late = refusalOf(store.writeUnsynced(() => add(other)));
    await turns();
    expect(await before).toBe(1);
    expect(await after).toBeInstanceOf(MetadataBusyError);
    expect(await late).toBeInstanceOf(MetadataBusyError);
    expect(committedNames()).toEqual([app]);
  });

  test('refuses a file that is not a database', async () => {
    const elsewhere = join(directory, 'elsewhere');
    await Bun.write(join(elsewhere, 'wherry.db'), 'not a database, but long enough to be looked at as one'.repeat(100));
    expect(() => SqliteMetadataStore.open(elsewhere)).toThrow('file is not a database');
  });
});

describe('older states of pages', () => {
  const log = (): number => statSync(join(directory, 'wherry.db-wal')).size;

  test('are given up on request: the log is empty, and what was committed is there', async () => {
    await store.write(() => add(app));
    expect(log()).toBeGreaterThan(0);
    expect(await store.forgetOldPages()).toBe('forgotten');
    expect(log()).toBe(0);
    await store.write(() => add(other));
    expect(committedNames()).toEqual([app, other]);
  });

  test('stay while another process reads one, which keeps nobody waiting', async () => {
    await store.write(() => add(app));
    using reader = new Database(join(directory, 'wherry.db'), { readonly: true });
    reader.run('begin');
    reader.query('select * from repository').all();
    await store.write(() => add(other));
    expect(await store.forgetOldPages()).toBe('being-read');
    expect(log()).toBeGreaterThan(0);
    reader.run('commit');
    expect(await store.forgetOldPages()).toBe('forgotten');
    expect(committedNames()).toEqual([app, other]);
  });

  test('of a row that is deleted or changed are overwritten where they are', async () => {
    const secret = `secret/${crypto.randomUUID()}`;
    await store.write(() => add(repositoryName(secret)));
    await store.forgetOldPages();
    const file = () => readFileSync(join(directory, 'wherry.db')).includes(secret);
    expect(file()).toBe(true);
    await store.write(() => change(deleteEmptyRepository, { repo: repositoryName(secret) }));
    await store.forgetOldPages();
    expect(file()).toBe(false);
  });
});
