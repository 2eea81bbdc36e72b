import { afterEach, beforeEach, expect, test } from 'bun:test';
import { TestedStores } from '../../test/pairs/tested-stores.ts';
import { all, change, first, type Operation } from '../metadata/operation.ts';
import {
  condemnObject,
  deadObjects,
  insertPendingObject,
  killObject,
  makeObjectDead,
  makeObjectLive,
  objectState,
} from '../metadata/queries/objects.ts';
import { findTask } from '../metadata/queries/tasks.ts';
import type { MetadataStore } from '../metadata/store.ts';
import { parseDigest } from '../oci/digest.ts';
import { forgetObject } from './forget-object.ts';
import { reviewObject } from './review.ts';

const oid = 'ab'.repeat(16);
const task = { kind: 'object', key1: oid, key2: '' } as const;
const late = { lateWritesMs: 500 };
const never = { lateWritesMs: 0 };

let stores: TestedStores;
let metadata: MetadataStore;

beforeEach(async () => {
  stores = new TestedStores('forget');
  metadata = await stores.metadata();
  await metadata.write(() => change(insertPendingObject, { oid }));
});

afterEach(async () => {
  await stores[Symbol.asyncDispose]();
});

async function die(): Promise<void> {
  await metadata.write(function* kill(): Operation<void> {
    yield* change(makeObjectDead, { oid });
    yield* reviewObject(oid, 1000);
  });
}

const forget = (blobs: typeof late, removedAt: number): Promise<boolean> =>
  metadata.write(() => forgetObject(oid, { blobs, removedAt }));
const row = () => metadata.read(() => first(objectState, { oid }));
const dueAt = async () => (await metadata.read(() => first(findTask, task)))?.due_at;
const toResume = (now: number) => metadata.read(() => all(deadObjects, { after: '', limit: 10, now }));

test('an object is forgotten at once where no write to it can arrive late', async () => {
  await die();
  expect(await forget(never, 1000)).toBe(true);
  expect(await row()).toBeUndefined();
  expect(await dueAt()).toBeUndefined();
  expect(await forget(never, 1000)).toBe(false);
});

test('where a write may arrive late, the row stays until none can, and the review queue has it then', async () => {
  await die();
  expect(await toResume(1000)).toEqual([{ oid }]);
  expect(await forget(late, 1000)).toBe(true);
  expect(await row()).toMatchObject({ state: 'dead', due_at: 1500 });
  expect(await dueAt()).toBe(1500);
  // A start does not remove it once more before.
  expect(await toResume(1499)).toEqual([]);
  expect(await toResume(1500)).toEqual([{ oid }]);
});

test('an object that is removed again before its time keeps that, and counts once', async () => {
  await die();
  expect(await forget(late, 1000)).toBe(true);
  await metadata.write(() => reviewObject(oid, 1200));
  expect(await forget(late, 1200)).toBe(false);
  expect(await dueAt()).toBe(1500);
  expect(await forget(late, 1500)).toBe(false);
  expect(await row()).toBeUndefined();
  expect(await dueAt()).toBeUndefined();
});

test('one that was condemned for so long that nothing can arrive is forgotten at once', async () => {
  const digest = parseDigest(`sha256:${'0'.repeat(64)}`);
  if (digest === undefined) throw new Error('it is one');
  await metadata.write(function* condemn(): Operation<void> {
    yield* change(makeObjectLive, { oid, digest, size: 7 });
    yield* change(condemnObject, { oid, dueAt: 900 });
    yield* change(killObject, { oid, forgetAt: 900 });
  });
  expect(await forget(late, 1000)).toBe(true);
  expect(await row()).toBeUndefined();
});

test('an object that is not dead stays what it is', async () => {
  expect(await forget(late, 1000)).toBe(false);
  expect(await row()).toMatchObject({ state: 'pending', due_at: null });
});
