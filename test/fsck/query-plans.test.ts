import { Database } from 'bun:sqlite';
import { expect, spyOn, test } from 'bun:test';
import { join } from 'node:path';
import { fsck } from '../../src/fsck/fsck.ts';
import { digestOf, freshBytes, imageOf, indexOf, ociIndex } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';

/** Small tables of SQLite's and of one row, and what a recursive query has found so far. */
const mayScan = new Set<string | undefined>([
  undefined,
  'CONSTANT',
  'sqlite_schema',
  'sqlite_master',
  'store',
  'above',
  'need',
  'held',
  'up',
  // The one look that has to see everything of one moment.
  'every_object',
  'every_upload',
  'every_count',
  'found',
  'kept',
  'coming',
]);

test('no look at one thing reads a whole table, so that a check takes as long as there are things', async () => {
  await using registry = await ServedRegistry.start();
  const [config, layer] = [freshBytes(), freshBytes()];
  await registry.pushBlob('app', config);
  const digest = await registry.pushBlob('app', layer);
  const manifest = JSON.stringify(imageOf(config, layer));
  await registry.putManifest('app', digestOf(manifest), manifest);
  await registry.putManifest('app', 'multi', JSON.stringify(indexOf(manifest)), ociIndex);
  await registry.putManifest('app', 'old', manifest);
  await registry.send('/v2/app/manifests/old', { method: 'DELETE' });
  await registry.send('/v2/app/blobs/uploads/', { method: 'POST' });
  const [row] = registry.rows<{ oid: string }>('select oid from object where live_digest = ?', digest);
  const oid = row?.oid ?? '';
  await Bun.write(join(registry.dataDirectory, 'objects', oid.slice(0, 2), oid), 'damaged');

  using queries = spyOn(Database.prototype, 'query');
  const { dataDirectory, clock } = registry;
  const rehash = { bytesPerSecond: 1e9, from: undefined };
  expect(await Array.fromAsync(fsck({ dataDirectory, now: clock.now(), rehash }))).toHaveLength(1);

  const asked = new Set(queries.mock.calls.map(([sql]) => sql));
  using database = new Database(join(dataDirectory, 'wherry.db'), { readonly: true });
  const scans = [...asked]
    .filter((sql) => !sql.startsWith('pragma'))
    .flatMap((sql) => {
      const steps = database.prepare<{ detail: string }, []>(`explain query plan ${sql}`).all();
      return steps.map(({ detail }) => ({ table: /^SCAN (\w+)(?! USING)/.exec(detail)?.[1], sql }));
    })
    .filter(({ table }) => !mayScan.has(table));
  expect(asked.size).toBeGreaterThan(20);
  expect(scans).toEqual([]);
});
