import { expect, test } from 'bun:test';
import { digestOf, freshBytes, imageOf, indexOf, ociIndex } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { askedBy, scansOf } from './scans.ts';

/** Tables of one row, and what a recursive query has found so far. */
const mayScan = new Set<string | undefined>([
  'store',
  'above',
  'need',
  'up',
  // The one look that has to see everything of one moment.
  'every_count',
  'every_object',
  'every_upload',
  'found',
  'kept',
  'coming',
  // Those are as few as are configured.
  'quota',
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
  await registry.objects.write(row?.oid ?? '', 'damaged');

  const asked = await askedBy(registry, { rehash: { bytesPerSecond: 1e9, from: undefined } });
  expect(asked.size).toBeGreaterThan(20);
  expect((await scansOf(registry, asked)).filter(({ table }) => !mayScan.has(table))).toEqual([]);
});
