import { expect, test } from 'bun:test';
import { digestOf, imageOf } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { askPlan } from './asked-plan.ts';

const rails = { tagsPerDay: '100%', bytesPerDay: '100%', mayPruneLastTag: true, grace: '0' };
const content = new Uint8Array(1000).fill(7);
const said = { ...imageOf(content), config: { ...imageOf(content).config, size: 5 } };

/** What a plan says that the one tag frees. */
async function freed(registry: ServedRegistry): Promise<number | undefined> {
  const plan = await askPlan(registry, { policies: [{ repositories: '**', default: 'prune', rails }] });
  return plan.total?.freesBytes;
}

test('content that comes after a manifest which says that it has another size counts as large as it is', async () => {
  await using registry = await ServedRegistry.start({ 'manifests.sparse.images': 'allow' });
  const sizes = () => registry.rows('select size_bytes, link_digest from manifest_blob');
  expect((await registry.putManifest('a', 'x', said)).status).toBe(201);
  expect(sizes()).toEqual([{ size_bytes: 5, link_digest: null }]);
  expect(await freed(registry)).toBe(0);
  await registry.pushBlob('a', content);
  expect(sizes()).toEqual([{ size_bytes: 1000, link_digest: digestOf(content) }]);
  expect(await freed(registry)).toBe(1000);
});

test('content that is mounted after such a manifest counts as large as it is, also when that is pushed again', async () => {
  await using registry = await ServedRegistry.start({ 'manifests.sparse.images': 'allow' });
  const digest = await registry.pushBlob('b', content);
  expect((await registry.putManifest('a', 'x', said)).status).toBe(201);
  const mounted = await registry.send(`/v2/a/blobs/uploads/?mount=${digest}&from=b`, { method: 'POST' });
  expect(mounted.status).toBe(201);
  expect(registry.rows('select size_bytes from manifest_blob')).toEqual([{ size_bytes: 1000 }]);
  expect((await registry.putManifest('a', 'x', said)).status).toBe(201);
  expect(registry.rows('select size_bytes from manifest_blob')).toEqual([{ size_bytes: 1000 }]);
});
