import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { change, first, type Operation } from '../operation.ts';
import { knownGeneration, raiseGeneration } from '../queries/store.ts';
import { SqliteMetadataStore, type SqliteParts } from './store.ts';

let directory: string;
let open: SqliteMetadataStore[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'wherry-shared-'));
  open = [];
});

afterEach(async () => {
  await Promise.all(open.map((store) => store.close()));
  rmSync(directory, { recursive: true });
});

/** One of several stores on the same database, as processes have one each. */
function shared(parts: SqliteParts = {}, isKeeper = false): SqliteMetadataStore {
  const store = SqliteMetadataStore.open(directory, { ...parts, shared: { isKeeper, onBroken: () => undefined } });
  open.push(store);
  return store;
}

function* raise(): Operation<number> {
  return (yield* first(raiseGeneration, {}))?.generation ?? 0;
}

function* generation(): Operation<number> {
  return (yield* first(knownGeneration, {}))?.generation ?? 0;
}

function logBytes(): number {
  return statSync(join(directory, 'wherry.db-wal')).size;
}

test('while another process writes, an operation waits, and the event loop goes on', async () => {
  const store = shared();
  using other = new Database(join(directory, 'wherry.db'), { readwrite: true });
  other.run('begin immediate');
  let isWritten = false;
  const writing = store.write(raise).then((raised) => {
    isWritten = true;
    return raised;
  });
  for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve));
  expect(isWritten).toBe(false);
  expect(await store.read(generation)).toBe(0);
  other.run('commit');
  expect(await writing).toBe(1);
});

test('operations that come together share a commit, and one that throws takes none of the others with it', async () => {
  let commits = 0;
  const store = shared({
    calls: {
      commit(run) {
        commits++;
        run();
      },
    },
  });
  const outcomes = await Promise.allSettled([
    store.write(raise),
    store.write(function* fail(): Operation<number> {
      yield* change(raiseGeneration, {});
      throw new Error('no');
    }),
    store.write(raise),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(await store.read(generation)).toBe(2);
  expect(commits).toBe(1);
});

test('of many operations of several processes at once none is lost, and none fails', async () => {
  const stores = [shared(), shared(), shared()];
  const raised = await Promise.all(Array.from({ length: 100 }, () => stores.map((store) => store.write(raise))).flat());
  expect(new Set(raised).size).toBe(300);
  for (const store of stores) expect(await store.read(generation)).toBe(300);
});

test('what was read before is known to be old as soon as any process has committed', async () => {
  const [store, other] = [shared(), shared()];
  const before = store.commits;
  expect(store.commits).toBe(before);
  await other.write(raise);
  // Reads of one turn of the event loop see one state.
  await new Promise((resolve) => setImmediate(resolve));
  const after = store.commits;
  expect(after).not.toBe(before);
  await store.write(raise);
  expect(store.commits).not.toBe(after);
});

test('whoever watches is told of what other processes commit', async () => {
  const [store, other] = [shared(), shared()];
  const told = Promise.withResolvers<void>();
  store.watch(() => told.resolve());
  await other.write(raise);
  await told.promise;
});

test('the log stays short while several processes write without a pause', async () => {
  const stores = [shared({ longLogPages: 100 }, true), shared(), shared()];
  let [peak, written] = [0, 0];
  // A commit adds a page of 4 KiB at least; a log that is never begun anew holds all of them.
  const isShort = () => 3 * peak < written * 4096;
  const writers = stores.map(async (store) => {
    while (written < 3000 || (!isShort() && written < 100_000)) {
      await store.writeUnsynced(raise);
      written++;
      peak = Math.max(peak, logBytes());
    }
  });
  await Promise.all(writers);
  expect(await stores[0]?.read(generation)).toBe(written);
  expect(isShort()).toBe(true);
}, 60_000);

/** A process that writes and reads without a pause; it has begun when this resolves. */
async function startOther(): Promise<Bun.Subprocess<'ignore', 'pipe', 'inherit'>> {
  const from = (file: string): string => JSON.stringify(join(import.meta.dir, file));
  const script = `
    import { SqliteMetadataStore } from ${from('store.ts')};
    import { first } from ${from('../operation.ts')};
    import { knownGeneration, raiseGeneration } from ${from('../queries/store.ts')};
    const shared = { isKeeper: false, onBroken() {} };
    const store = SqliteMetadataStore.open(${JSON.stringify(directory)}, { shared });
    for (let writes = 0; ; writes++) {
      await store.writeUnsynced(() => first(raiseGeneration, {}));
      await store.read(() => first(knownGeneration, {}));
      if (writes === 100) console.log('begun');
    }
  `;
  const other = Bun.spawn([process.execPath, '-e', script], { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
  for await (const chunk of other.stdout) {
    expect(Buffer.from(chunk).toString()).toBe('begun\n');
    return other;
  }
  throw new Error('the process ended before it had begun');
}

test('older states of pages are forgotten while another process goes on', async () => {
  const store = shared({}, true);
  const other = await startOther();
  for (let writes = 0; writes < 50; writes++) await store.write(raise);
  expect(await store.forgetOldPages()).toBe('forgotten');
  expect(other.exitCode).toBe(null);
  other.kill('SIGKILL');
  await other.exited;
  // What it was at when it was killed hinders nobody.
  expect(await store.write(raise)).toBeGreaterThan(151);
});
