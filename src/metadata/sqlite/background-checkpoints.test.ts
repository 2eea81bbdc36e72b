import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseRepositoryName, type RepositoryName } from '../../oci/names.ts';
import { change, first, type Operation } from '../operation.ts';
import { findRepository, insertRepository } from '../queries/repositories.ts';
import { MetadataBrokenError } from '../store.ts';
import { BackgroundCheckpoints } from './background-checkpoints.ts';
import { type DatabaseCalls, databaseCalls } from './calls.ts';
import { checkpoint, type CheckpointState } from './checkpoint.ts';
import { CheckpointThread } from './checkpoint-thread.ts';
import { SqliteMetadataStore, type SqliteParts } from './store.ts';

const longLogPages = 100;
const commitsALook = 32;
const pageBytes = 4096;

let directory: string;
let store: SqliteMetadataStore;
let added = 0;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'wherry-checkpoints-'));
  added = 0;
});

afterEach(async () => {
  await store.close();
  rmSync(directory, { recursive: true });
});

function open(calls: Partial<DatabaseCalls> = {}, parts: SqliteParts = {}): void {
  store = SqliteMetadataStore.open(directory, { longLogPages, calls, ...parts });
}

/** Opens the store; what the passes come to is found in the list. */
function openRecordingPasses(): readonly CheckpointState[] {
  const passes: CheckpointState[] = [];
  open({
    async checkpoint(pass) {
      const state = await databaseCalls.checkpoint(pass);
      passes.push(state);
      return state;
    },
  });
  return passes;
}

function repositoryName(number: number): RepositoryName {
  const name = parseRepositoryName(`team/app${number}`);
  if (name === undefined) throw new Error('that is not a repository name');
  return name;
}

function* addNext(): Operation<number> {
  return yield* change(insertRepository, { repo: repositoryName(added++), now: 0 });
}

/** Commits so much that the log gets long, and is looked at. */
async function addMany(): Promise<void> {
  for (let count = 0; count < longLogPages + commitsALook; count++) await store.writeUnsynced(addNext);
}

async function addUntilRefused(): Promise<unknown> {
  try {
    for (;;) await store.write(addNext);
  } catch (error) {
    return error;
  }
}

async function has(number: number): Promise<boolean> {
  return (await store.read(() => first(findRepository, { repo: repositoryName(number) }))) !== undefined;
}

/** How long the log is, in pages, seen from a connection of its own. */
function logPages(): number {
  using connection = new Database(join(directory, 'wherry.db'), { readwrite: true });
  return checkpoint(connection, 'noop').log;
}

/** A pass that waits until the test lets it go on. */
function heldPasses() {
  const waiting: PromiseWithResolvers<void>[] = [];
  let next = Promise.withResolvers<void>();
  const calls: Pick<DatabaseCalls, 'checkpoint'> = {
    async checkpoint(pass) {
      const held = Promise.withResolvers<void>();
      waiting.push(held);
      next.resolve();
      next = Promise.withResolvers();
      await held.promise;
      return await databaseCalls.checkpoint(pass);
    },
  };
  const arrived = async (): Promise<void> => {
    while (waiting.length === 0) await next.promise;
  };
  return { calls, arrived, letGo: () => waiting.shift()?.resolve() };
}

test('the log begins again from its start while writers go on', async () => {
  const passes = openRecordingPasses();
  while (passes.length < 20) await store.write(addNext);
  // Each commit writes more than a page.
  expect(added).toBeGreaterThan(4 * longLogPages);
  expect(statSync(join(directory, 'wherry.db-wal')).size / pageBytes).toBeLessThan(added);
  expect(await has(added - 1)).toBe(true);
});

test('while the log is being moved others write and read', async () => {
  const held = heldPasses();
  open(held.calls);
  await addMany();
  await held.arrived();
  expect(await store.write(addNext)).toBe(1);
  expect(await has(added - 1)).toBe(true);
  held.letGo();
  await held.arrived();
  held.letGo();
});

test('while the last pages are being moved writers wait, and readers do not', async () => {
  const held = heldPasses();
  open(held.calls);
  await addMany();
  await held.arrived();
  held.letGo();
  await held.arrived();
  let isWritten = false;
  const write = async (): Promise<void> => {
    await store.write(addNext);
    isWritten = true;
  };
  const writing = write();
  expect(await has(0)).toBe(true);
  await new Promise(setImmediate);
  expect(isWritten).toBe(false);
  held.letGo();
  await writing;
  expect(logPages()).toBeLessThan(10);
});

test('whoever waits for the last pages does not fail where they cannot be moved', async () => {
  let passes = 0;
  const arrived = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  open({
    async checkpoint(pass) {
      passes++;
      if (passes !== 2) return await databaseCalls.checkpoint(pass);
      arrived.resolve();
      await held.promise;
      throw new Error('no room');
    },
  });
  await addMany();
  await arrived.promise;
  const writing = store.write(addNext);
  held.resolve();
  expect(await writing).toBe(1);
});

test('a store that is closed meanwhile waits for the pass', async () => {
  const held = heldPasses();
  open(held.calls);
  await addMany();
  await held.arrived();
  const closing = store.close();
  held.letGo();
  await held.arrived();
  held.letGo();
  await closing;
  open();
  expect(await has(added - 1)).toBe(true);
});

test('a pass that fails is told of and tried again, and nothing is lost', async () => {
  const problems: unknown[] = [];
  const passes: CheckpointState[] = [];
  open(
    {
      async checkpoint(pass) {
        if (problems.length < 2) throw new Error('no room');
        const state = await databaseCalls.checkpoint(pass);
        passes.push(state);
        return state;
      },
    },
    { onCheckpointProblem: (error) => problems.push(error) },
  );
  while (passes.length < 2) await store.write(addNext);
  expect(problems.map(String)).toEqual(['Error: no room', 'Error: no room']);
  expect(await has(0)).toBe(true);
  expect(await has(added - 1)).toBe(true);
});

test('a thread that has ended is replaced, and nobody waits for it', async () => {
  open();
  const problems: unknown[] = [];
  using writer = new Database(join(directory, 'wherry.db'), { readwrite: true });
  writer.run('pragma wal_autocheckpoint = 0');
  const checkpoints = new BackgroundCheckpoints({
    writer,
    path: join(directory, 'elsewhere', 'wherry.db'),
    descriptor: -1,
    longLogPages: 1,
    calls: databaseCalls,
    flush: () => undefined,
    onLost: (error) => problems.push(error),
    onProblem: (error) => problems.push(error),
  });
  await store.write(addNext);
  for (let attempt = 1; attempt <= 2; attempt++) {
    for (let count = 0; count < commitsALook; count++) checkpoints.committed();
    await checkpoints.idle();
    expect(problems).toHaveLength(attempt);
    expect(checkpoints.finishing).toBeUndefined();
  }
  const failedStarts = () => problems.filter((problem) => String(problem).includes('unable to open'));
  // Each failed start is that of a thread of its own.
  while (failedStarts().length < 3) {
    for (let count = 0; count < commitsALook; count++) checkpoints.committed();
    await checkpoints.idle();
    await new Promise(setImmediate);
  }
  await checkpoints.close();
});

test('a thread that has ended says so to whoever asks it for a pass', async () => {
  open();
  const thread = new CheckpointThread(join(directory, 'wherry.db'));
  await thread.close();
  expect(thread.pass()).rejects.toThrow('has ended');
});

test('writers do not wait while a long read elsewhere keeps the log from being moved', async () => {
  const passes = openRecordingPasses();
  await store.write(addNext);
  using reader = new Database(join(directory, 'wherry.db'), { readonly: true });
  reader.run('begin');
  reader.query('select count(*) from repository').get();
  while (passes.length < 4) await store.write(addNext);
  // One pass that moves nothing more, and no other that writers would have to wait for.
  expect(new Set(passes.map(({ checkpointed }) => checkpointed)).size).toBe(1);
  reader.run('commit');
  while (passes.at(-1)?.log !== passes.at(-1)?.checkpointed) await store.write(addNext);
  expect(await has(0)).toBe(true);
});

test('when the database file could not be synced, nothing more is promised, and the log does not begin again', async () => {
  const broken = Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
  open({ syncDatabase: (_descriptor, done) => void setImmediate(done, broken) });
  const refusal = await addUntilRefused();
  expect(refusal).toBeInstanceOf(MetadataBrokenError);
  expect(String(refusal)).toContain('the database could not be synced');
  // What it holds is read again at the next start.
  await store.close();
  expect(statSync(join(directory, 'wherry.db-wal')).size / pageBytes).toBeGreaterThan(longLogPages);
  open();
  expect(await has(0)).toBe(true);
  expect(await has(added - 2)).toBe(true);
});
