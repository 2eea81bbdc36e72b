import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DirectoryBlobStore } from '../blobs/directory/store.ts';
import { change } from '../metadata/operation.ts';
import { chooseIdentity } from '../metadata/queries/store.ts';
import { SqliteMetadataStore } from '../metadata/sqlite/store.ts';
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

function ids(...names: readonly string[]): () => string {
  const left = [...names];
  return () => left.shift() ?? 'one too many';
}

test('a registry that has no id gets one, which is left beside its blobs, and keeps it', async () => {
  const parts = { metadata: database('one'), blobs: await blobsIn('one') };
  const newId = ids('first', 'second');
  for (let start = 0; start < 3; start++) expect(await expectOwnBlobs(parts, newId)).toEqual({ others: [] });
  expect(await parts.blobs.registries()).toEqual(['first']);
});

test('processes that start at once give it one id', async () => {
  const parts = { metadata: database('one'), blobs: await blobsIn('one') };
  const newId = ids('first', 'second', 'third');
  await Promise.all([1, 2, 3].map(() => expectOwnBlobs(parts, newId)));
  expect(await parts.blobs.registries()).toHaveLength(1);
});

test('where a start was broken off before the id lay beside the blobs, the next one leaves it there', async () => {
  const parts = { metadata: database('one'), blobs: await blobsIn('one') };
  await parts.metadata.write(() => change(chooseIdentity, { identity: 'first' }));
  await expectOwnBlobs(parts, ids());
  expect(await parts.blobs.registries()).toEqual(['first']);
});

test('a database that meets no blobs of its own is refused, whether others are there or none', async () => {
  const metadata = database('one');
  await expectOwnBlobs({ metadata, blobs: await blobsIn('one') }, ids('first'));
  const [empty, used] = [await blobsIn('empty'), await blobsIn('used')];
  await expectOwnBlobs({ metadata: database('used'), blobs: used }, ids('second'));
  for (const [blobs, others] of [[empty, []] as const, [used, ['second']] as const]) {
    const refused = await expectOwnBlobs({ metadata, blobs }, ids()).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(BlobsElsewhereError);
    expect(refused).toMatchObject({ registry: 'first', others });
    expect(await blobs.registries()).toEqual([...others]);
  }
});

test('two registries that keep their blobs in one place know of each other', async () => {
  const blobs = await blobsIn('one');
  await expectOwnBlobs({ metadata: database('one'), blobs }, ids('first'));
  const other = { metadata: database('other'), blobs };
  expect(await expectOwnBlobs(other, ids('second'))).toEqual({ others: ['first'] });
  expect(await expectOwnBlobs(other, ids())).toEqual({ others: ['first'] });
});

test('a copy of a database from before it had an id takes that of the blobs, if there is only one', async () => {
  const blobs = await blobsIn('one');
  await expectOwnBlobs({ metadata: database('one'), blobs }, ids('first'));
  const copy = { metadata: database('copy'), blobs };
  await reuniteWithBlobs(copy);
  expect(await expectOwnBlobs(copy, ids())).toEqual({ others: [] });
});

test('a copy of a database is put beside blobs that were copied without its id', async () => {
  const metadata = database('one');
  await expectOwnBlobs({ metadata, blobs: await blobsIn('one') }, ids('first'));
  const copied = await blobsIn('copied');
  await reuniteWithBlobs({ metadata, blobs: copied });
  expect(await expectOwnBlobs({ metadata, blobs: copied }, ids())).toEqual({ others: [] });
  expect(readdirSync(join(directory, 'copied', 'registries'))).toEqual(['first']);
});
