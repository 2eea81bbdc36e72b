import { afterEach, beforeEach, expect, test } from 'bun:test';
import { TestedStores } from '../../test/pairs/tested-stores.ts';
import { createLog } from '../log/log.ts';
import { change, first, type Operation } from '../metadata/operation.ts';
import { upsertManifest } from '../metadata/queries/manifests.ts';
import { insertRepository } from '../metadata/queries/repositories.ts';
import { query } from '../metadata/query.ts';
import type { Begun, MetadataStore } from '../metadata/store.ts';
import { digestOf } from '../oci/digest.ts';
import { parseRepositoryName, parseTagName, type RepositoryName } from '../oci/names.ts';
import { type Pulled, PullRecorder } from './pull-recorder.ts';

/** How many pulled things wait at most. */
const maxWaiting = 50_000;

const pullTime = query<Record<never, never>>()(({ db }) => db.selectFrom('manifest').select('last_pulled_at'));
const log = await createLog({ level: 'error', format: 'json', stream: { write: () => undefined } });
const repo = repositoryName('team/app');
const bytes = Buffer.from('{}');
const digest = digestOf('sha256', bytes);

function repositoryName(text: string): RepositoryName {
  const name = parseRepositoryName(text);
  if (name === undefined) throw new Error(`${text} is not a repository name`);
  return name;
}

let stores: TestedStores;
let store: MetadataStore;
let now: number;
let isFull: boolean;
let holdUp: Promise<void> | undefined;
let writes: number;
let recorder: PullRecorder;

beforeEach(async () => {
  stores = new TestedStores('pulls');
  store = await stores.metadata();
  await store.writeUnsynced(function* push(): Operation<void> {
    yield* change(insertRepository, { repo, now: 0 });
    const parts = { mediaType: 'application/json', kind: 'image', artifactType: null, annotations: null } as const;
    const times = { leaseUntil: 0, now: 0 };
    yield* change(upsertManifest, { repo, digest, ...parts, ...times, subject: null, size: bytes.length, bytes });
  });
  now = 1000;
  isFull = false;
  holdUp = undefined;
  writes = 0;
  const metadata = {
    async writeUnsynced<T>(operation: (begun: Begun) => Operation<T>): Promise<T> {
      writes++;
      await holdUp;
      if (isFull) throw new Error('the disk is full');
      return await store.writeUnsynced(operation);
    },
  };
  recorder = new PullRecorder({ metadata, clock: { now: () => now, monotonic: () => now }, log });
});

afterEach(async () => {
  await stores[Symbol.asyncDispose]();
});

async function recordedTime(): Promise<number | null | undefined> {
  return (await store.read(() => first(pullTime, {})))?.last_pulled_at;
}

/** What stands for a pull: each time another object. */
function pulled(): Pulled {
  return { repo, digest, tag: undefined };
}

test('a pull waits in memory until it is written', async () => {
  recorder.record(pulled());
  expect(await recordedTime()).toBeNull();
  await recorder.flush();
  expect(await recordedTime()).toBe(1000);
});

test('the last of many pulls counts, whichever object stood for it', async () => {
  const early = pulled();
  for (const each of [early, pulled(), early]) {
    now += 10;
    recorder.record(each);
  }
  await recorder.flush();
  expect(await recordedTime()).toBe(1030);
  expect(writes).toBe(1);
});

test('whoever needs them waits for those that are being written, too', async () => {
  recorder.record(pulled());
  const held = Promise.withResolvers<void>();
  holdUp = held.promise;
  const flushing = recorder.flush();
  await new Promise(setImmediate);
  let isThere = false;
  const needing = recorder.flushQuietly().then(() => (isThere = true));
  await new Promise(setImmediate);
  expect(isThere).toBe(false);
  held.resolve();
  await Promise.all([flushing, needing]);
  expect(await recordedTime()).toBe(1000);
});

test('times that could not be written are written later', async () => {
  isFull = true;
  recorder.record(pulled());
  expect(recorder.flush()).rejects.toThrow('the disk is full');
  await recorder.flush().catch(() => undefined);
  isFull = false;
  await recorder.flush();
  expect(await recordedTime()).toBe(1000);
});

test('a newer time is not lost to an older one that could not be written', async () => {
  isFull = true;
  recorder.record(pulled());
  await recorder.flush().catch(() => undefined);
  now = 2000;
  recorder.record(pulled());
  isFull = false;
  await recorder.flush();
  expect(await recordedTime()).toBe(2000);
});

test('so many things are written at once, without waiting for the next time', async () => {
  const written = Promise.withResolvers<void>();
  holdUp = written.promise;
  for (let count = 0; count < maxWaiting; count++) {
    recorder.record({ repo, digest: digestOf('sha256', Buffer.from(String(count))), tag: undefined });
  }
  // Nobody has asked for it.
  await new Promise(setImmediate);
  expect(writes).toBe(1);
  written.resolve();
  await recorder.flush();
});

test('a thing takes one place, however many objects it is recorded by', async () => {
  for (let count = 0; count < 2 * maxWaiting; count++) recorder.record(pulled());
  await new Promise(setImmediate);
  expect(writes).toBe(0);
  await recorder.flush();
  expect(await recordedTime()).toBe(1000);
  expect(writes).toBe(1);
});

test('pulls of a tag that has led to something else since count for what they got', async () => {
  const tag = parseTagName('latest');
  const other = digestOf('sha256', Buffer.from('other'));
  recorder.record({ repo, digest, tag });
  now = 2000;
  recorder.record({ repo, digest: other, tag });
  expect([...recorder.waitingIn(repo)].toSorted()).toEqual([digest, other].toSorted());
  await recorder.flush();
  expect(await recordedTime()).toBe(1000);
  expect(recorder.waitingIn(repo).size).toBe(0);
});

test('while nothing can be written no more than so many wait, and none of them is tried again and again', async () => {
  isFull = true;
  for (let count = 0; count < maxWaiting; count++) {
    recorder.record({ repo, digest: digestOf('sha256', Buffer.from(String(count))), tag: undefined });
  }
  await recorder.flush().catch(() => undefined);
  const tried = writes;
  for (let count = 0; count < 1000; count++) recorder.record(pulled());
  await new Promise(setImmediate);
  expect(writes).toBe(tried);
});

test('times that cannot be written keep nobody from ending in good order', async () => {
  isFull = true;
  recorder.record(pulled());
  await recorder.stop();
  expect(writes).toBe(1);
});
