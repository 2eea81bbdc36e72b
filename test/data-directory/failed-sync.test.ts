import { expect, test } from 'bun:test';
import { digestOf, freshBytes, imageOf } from '../http/content.ts';
import { HeldDisk } from '../http/held-disk.ts';
import { ServedRegistry } from '../http/served-registry.ts';

const repo = 'kept/image';

test('once a sync of the log has failed, nothing is acknowledged, and nothing done, until a restart; pulls go on', async () => {
  const disk = new HeldDisk();
  await using registry = await ServedRegistry.start({}, disk.syncs);
  const config = freshBytes();
  const blob = await registry.pushBlob(repo, config);
  const manifest = JSON.stringify(imageOf(config));
  const digest = digestOf(manifest);
  await registry.putManifest(repo, 'x', manifest);
  disk.breakDown();
  expect((await registry.send(`/v2/${repo}/manifests/x`, { method: 'DELETE' })).status).toBe(503);
  const tags = registry.rows('select name from tag');

  const refused = await Promise.all([
    registry.putManifest(repo, 'y', manifest),
    registry.send(`/v2/${repo}/manifests/${digest}`, { method: 'DELETE' }),
    registry.send(`/v2/${repo}/blobs/${blob}`, { method: 'HEAD' }),
    registry.send(`/v2/${repo}/manifests/${digest}`, { method: 'HEAD' }),
    registry.send(`/v2/other/blobs/uploads/?mount=${blob}&from=${repo}`, { method: 'POST' }),
    registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' }),
    registry.send('/readyz'),
  ]);
  expect(refused.map((answer) => answer.status)).toEqual(refused.map(() => 503));
  expect(registry.rows('select name from tag')).toEqual(tags);
  expect((await registry.send(`/v2/${repo}/manifests/${digest}`)).status).toBe(200);
  expect((await registry.send(`/v2/${repo}/blobs/${blob}`)).status).toBe(200);
});
