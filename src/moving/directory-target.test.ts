import { expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DirectoryBlobStore } from '../blobs/directory/store.ts';
import { shards } from './blob-target.ts';
import { DirectoryTarget } from './directory-target.ts';

test('names that an earlier try has left are on the disk before they count, and no others stay', async () => {
  const data = mkdtempSync(join(tmpdir(), 'wherry-target-'));
  try {
    const store = await DirectoryBlobStore.open(data);
    const synced: string[] = [];
    const target = new DirectoryTarget(data, store, async (path) => {
      // What is removed is gone by then.
      synced.push(`${path}: ${readdirSync(path).join(' ')}`);
    });
    const [kept, other] = [`ab${'0'.repeat(30)}`, `ab${'1'.repeat(30)}`];
    for (const oid of [kept, other]) writeFileSync(join(data, 'objects', 'ab', oid), 'bytes');
    for (const shard of shards()) await target.keepOnly(shard, new Set([kept]));
    const names = (shard: string): string => (shard === 'ab' ? kept : '');
    expect(synced).toEqual(shards().map((shard) => `${join(data, 'objects', shard)}: ${names(shard)}`));
  } finally {
    rmSync(data, { recursive: true });
  }
});
