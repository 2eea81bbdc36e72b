import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DirectoryBlobStore } from '../blobs/directory/store.ts';
import { change } from '../metadata/operation.ts';
import { insertKnownObject } from '../metadata/queries/objects.ts';
import { chooseIdentity, leaveIdentity } from '../metadata/queries/store.ts';
import { SqliteMetadataStore } from '../metadata/sqlite/store.ts';
import { digestOf } from '../oci/digest.ts';
import { BlobsElsewhereError, expectOwnBlobs, reuniteWithBlobs } from './registry-identity.ts';

let directory: string;
let opened: AsyncDisposableStack;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'wherry-identity-'));
  opened = new AsyncDisposableStack();
});

afterEach(async () => {
  await opened.disposeAsync();
  rmSync(directory, { recursive: true });
});

function database(name: string): SqliteMetadataStore {
  mkdirSync(join(directory, name), { recursive: true });
  return opened.adopt(SqliteMetadataStore.open(join(directory, name)), (store) => store.close());
}

async function blobsIn(name: string): Promise<DirectoryBlobStore> {
  return await DirectoryBlobStore.open(join(directory, name));
}

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
  const parts = { metadata: database('one'), blobs: await blobsIn('one') };
  const newId = ids(one, two);
  for (let start = 0; start < 3; start++) expect(await expectOwn(parts, newId)).toEqual({ others: [] });
  expect(await parts.blobs.registries()).toEqual([one]);
});

test('processes that start at once give it one id', async () => {
  const parts = { metadata: database('one'), blobs: await blobsIn('one') };
  const newId = ids(one, two, three);
  await Promise.all([1, 2, 3].map(() => expectOwn(parts, newId)));
  expect(await parts.blobs.registries()).toHaveLength(1);
});

test('where a start was broken off before the id lay beside the blobs, the next one leaves it there', async () => {
  const parts = { metadata: database('one'), blobs: await blobsIn('one') };
  await parts.metadata.write(() => change(chooseIdentity, { identity: one }));
  await expectOwn(parts, ids());
  expect(await parts.blobs.registries()).toEqual([one]);
});

test('a database that meets no blobs of its own is refused, whether others are there or none', async () => {
  const metadata = database('one');
  await expectOwn({ metadata, blobs: await blobsIn('one') }, ids(one));
  const [empty, used] = [await blobsIn('empty'), await blobsIn('used')];
  await expectOwn({ metadata: database('used'), blobs: used }, ids(two));
  for (const [blobs, others] of [[empty, []] as const, [used, [two]] as const]) {
    const refused = await expectOwn({ metadata, blobs }, ids()).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(BlobsElsewhereError);
    expect(refused).toMatchObject({ registry: one, others });
    expect(await blobs.registries()).toEqual([...others]);
  }
});

test('two registries that keep their blobs in one place know of each other', async () => {
  const blobs = await blobsIn('one');
  await expectOwn({ metadata: database('one'), blobs }, ids(one));
  const other = { metadata: database('other'), blobs };
  expect(await expectOwn(other, ids(two))).toEqual({ others: [one] });
  expect(await expectOwn(other, ids())).toEqual({ others: [one] });
});

test('a copy of a database from before it had an id takes over no other registry', async () => {
  const blobs = await blobsIn('one');
  await expectOwn({ metadata: database('one'), blobs }, ids(one));
  const copy = { metadata: database('copy'), blobs };
  await reuniteWithBlobs(copy);
  expect(await expectOwn(copy, ids(two))).toEqual({ others: [one] });
});

test('a copy of a database is not put beside the blobs of another registry', async () => {
  const metadata = database('one');
  await expectOwn({ metadata, blobs: await blobsIn('one') }, ids(one));
  const blobs = await blobsIn('used');
  await expectOwn({ metadata: database('used'), blobs }, ids(two));
  const refused = await reuniteWithBlobs({ metadata, blobs }).catch((error: unknown) => error);
  expect(refused).toMatchObject({ registry: one, others: [two] });
  expect(await blobs.registries()).toEqual([two]);
});

test('of two processes that start at once with blobs in different places, one is refused', async () => {
  const metadata = database('one');
  const [mine, yours] = [await blobsIn('one'), await blobsIn('other')];
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
  const metadata = database('one');
  const [right, wrong] = [await blobsIn('one'), await blobsIn('wrong')];
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
  const parts = { metadata: database('one'), blobs: await blobsIn('one') };
  await expectOwn(parts, ids(one));
  writeFileSync(join(directory, 'one', 'registries', '.DS_Store'), '');
  expect(await expectOwn(parts, ids())).toEqual({ others: [] });
});

test('a copy of a database is put beside blobs that were copied without its id', async () => {
  const metadata = database('one');
  await expectOwn({ metadata, blobs: await blobsIn('one') }, ids(one));
  const copied = await blobsIn('copied');
  await reuniteWithBlobs({ metadata, blobs: copied });
  expect(await expectOwn({ metadata, blobs: copied }, ids())).toEqual({ others: [] });
  expect(readdirSync(join(directory, 'copied', 'registries'))).toEqual([one]);
});
