import { afterEach, beforeEach, expect, test } from 'bun:test';
import { TestedStores } from '../../test/pairs/tested-stores.ts';
import { change } from '../metadata/operation.ts';
import { insertKnownObject } from '../metadata/queries/objects.ts';
import { chooseIdentity, leaveIdentity } from '../metadata/queries/store.ts';
import { digestOf } from '../oci/digest.ts';
import { BlobsElsewhereError, expectOwnBlobs, reuniteWithBlobs } from './registry-identity.ts';

let stores: TestedStores;

beforeEach(() => {
  stores = new TestedStores('identity');
});

afterEach(async () => {
  await stores[Symbol.asyncDispose]();
});

const [one, two, three] = ['1'.repeat(32), '2'.repeat(32), '3'.repeat(32)];

function ids(...names: readonly string[]): () => string {
  const left = [...names];
  return () => left.shift() ?? 'one too many';
}

const noPause = async (): Promise<void> => undefined;

function expectOwn(parts: Parameters<typeof expectOwnBlobs>[0], newId: () => string) {
  return expectOwnBlobs(parts, newId, noPause);
}

test('a registry that has no id gets one, which is left beside its blobs, and keeps it', async () => {
  const parts = { metadata: await stores.metadata('one'), blobs: await stores.blobs('one') };
  const newId = ids(one, two);
  for (let start = 0; start < 3; start++) expect(await expectOwn(parts, newId)).toEqual({ others: [] });
  expect(await parts.blobs.registries()).toEqual([one]);
});

test('processes that start at once give it one id', async () => {
  const parts = { metadata: await stores.metadata('one'), blobs: await stores.blobs('one') };
  const newId = ids(one, two, three);
  await Promise.all([1, 2, 3].map(() => expectOwn(parts, newId)));
  expect(await parts.blobs.registries()).toHaveLength(1);
});

test('where a start was broken off before the id lay beside the blobs, the next one leaves it there', async () => {
  const parts = { metadata: await stores.metadata('one'), blobs: await stores.blobs('one') };
  await parts.metadata.write(() => change(chooseIdentity, { identity: one }));
  await expectOwn(parts, ids());
  expect(await parts.blobs.registries()).toEqual([one]);
});

test('a database that meets no blobs of its own is refused, whether others are there or none', async () => {
  const metadata = await stores.metadata('one');
  await expectOwn({ metadata, blobs: await stores.blobs('one') }, ids(one));
  const [empty, used] = [await stores.blobs('empty'), await stores.blobs('used')];
  await expectOwn({ metadata: await stores.metadata('used'), blobs: used }, ids(two));
  for (const [blobs, others] of [[empty, []] as const, [used, [two]] as const]) {
    const refused = await expectOwn({ metadata, blobs }, ids()).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(BlobsElsewhereError);
    expect(refused).toMatchObject({ registry: one, others });
    expect(await blobs.registries()).toEqual([...others]);
  }
});

test('two registries that keep their blobs in one place know of each other', async () => {
  const blobs = await stores.blobs('one');
  await expectOwn({ metadata: await stores.metadata('one'), blobs }, ids(one));
  const other = { metadata: await stores.metadata('other'), blobs };
  expect(await expectOwn(other, ids(two))).toEqual({ others: [one] });
  expect(await expectOwn(other, ids())).toEqual({ others: [one] });
});

test('a copy of a database from before it had an id takes over no other registry', async () => {
  const blobs = await stores.blobs('one');
  await expectOwn({ metadata: await stores.metadata('one'), blobs }, ids(one));
  const copy = { metadata: await stores.metadata('copy'), blobs };
  await reuniteWithBlobs(copy);
  expect(await expectOwn(copy, ids(two))).toEqual({ others: [one] });
});

test('a copy of a database is not put beside the blobs of another registry', async () => {
  const metadata = await stores.metadata('one');
  await expectOwn({ metadata, blobs: await stores.blobs('one') }, ids(one));
  const blobs = await stores.blobs('used');
  await expectOwn({ metadata: await stores.metadata('used'), blobs }, ids(two));
  const refused = await reuniteWithBlobs({ metadata, blobs }).catch((error: unknown) => error);
  expect(refused).toMatchObject({ registry: one, others: [two] });
  expect(await blobs.registries()).toEqual([two]);
});

test('of two processes that start at once with blobs in different places, one is refused', async () => {
  const metadata = await stores.metadata('one');
  const [mine, yours] = [await stores.blobs('one'), await stores.blobs('other')];
  await metadata.write(() => change(chooseIdentity, { identity: one }));
  // The one that has chosen the id leaves it while the other one waits.
  const pausing = async (): Promise<void> => {
    await mine.leaveRegistry(one);
    await metadata.write(() => change(leaveIdentity, {}));
  };
  const refused = await expectOwnBlobs({ metadata, blobs: yours }, ids(two), pausing).catch((error: unknown) => error);
  expect(refused).toMatchObject({ registry: one, others: [] });
  expect(await yours.registries()).toEqual([]);
});

test('a database that knows blobs is not tied to a place that has none of them', async () => {
  const metadata = await stores.metadata('one');
  const [right, wrong] = [await stores.blobs('one'), await stores.blobs('wrong')];
  const oid = 'a'.repeat(32);
  const known = { oid, digest: digestOf('sha256', Buffer.from('a layer')), size: 7, state: 'live' } as const;
  await metadata.write(() => change(insertKnownObject, known));
  const writer = await right.append(oid, 0);
  await writer.write(Buffer.from('a layer'));
  await writer.close('final');
  const refused = await expectOwn({ metadata, blobs: wrong }, ids(one)).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(BlobsElsewhereError);
  expect(await wrong.registries()).toEqual([]);
  expect(await expectOwn({ metadata, blobs: right }, ids(one))).toEqual({ others: [] });
});

test('a file that somebody else has left among the ids is none', async () => {
  const parts = { metadata: await stores.metadata('one'), blobs: await stores.blobs('one') };
  await expectOwn(parts, ids(one));
  await stores.beside('one').objects.leave('registries/.DS_Store');
  expect(await expectOwn(parts, ids())).toEqual({ others: [] });
});

test('a copy of a database is put beside blobs that were copied without its id', async () => {
  const metadata = await stores.metadata('one');
  await expectOwn({ metadata, blobs: await stores.blobs('one') }, ids(one));
  const copied = await stores.blobs('copied');
  await reuniteWithBlobs({ metadata, blobs: copied });
  expect(await expectOwn({ metadata, blobs: copied }, ids())).toEqual({ others: [] });
  expect(await copied.registries()).toEqual([one]);
});
