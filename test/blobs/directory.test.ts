import { afterEach, describe, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DirectoryBlobStore } from '../../src/blobs/directory/store.ts';
import { describeBlobStore } from './contract.ts';
import { expectGreatestToStay } from './numbers-at-once.ts';

let directory: string | undefined;

afterEach(() => {
  if (directory !== undefined) rmSync(directory, { recursive: true });
});

describe('in a directory,', () => {
  describeBlobStore(async () => {
    directory = mkdtempSync(join(tmpdir(), 'wherry-blobs-'));
    return { store: await DirectoryBlobStore.open(directory), other: await DirectoryBlobStore.open(directory) };
  });

  test('the greatest number stays of those that several processes set at once', async () => {
    directory = mkdtempSync(join(tmpdir(), 'wherry-blobs-'));
    await expectGreatestToStay(await DirectoryBlobStore.open(directory), await DirectoryBlobStore.open(directory));
  });
});
