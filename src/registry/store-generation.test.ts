import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DirectoryBlobStore } from '../blobs/directory/store.ts';
import { SqliteMetadataStore } from '../metadata/sqlite/store.ts';
import { systemClock } from './clock.ts';
import { StoreGeneration } from './store-generation.ts';

test('that somebody else has accepted a database which is older than the blobs is seen at the next look', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'wherry-generation-'));
  const metadata = SqliteMetadataStore.open(directory);
  try {
    const blobs = await DirectoryBlobStore.open(directory);
    await blobs.setGeneration(7);
    const parts = { metadata, blobs, clock: systemClock };
    const [one, other] = [await StoreGeneration.open(parts), await StoreGeneration.open(parts)];
    expect([one.isDatabaseOutdated, await one.isAccepted()]).toEqual([true, false]);
    await other.settle(7);
    expect([one.isDatabaseOutdated, await one.isAccepted()]).toEqual([true, true]);
    expect(one.isDatabaseOutdated).toBe(false);
    await one.beforeRemoval();
  } finally {
    await metadata.close();
    rmSync(directory, { recursive: true });
  }
});
