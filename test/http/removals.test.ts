import { promisify } from 'node:util';
import { fdatasync, fsync } from 'node:fs';
import { expect, test } from 'bun:test';
import { until } from '../server/until.ts';
import { freshBytes, imageOf } from './content.ts';
import { ServedRegistry } from './served-registry.ts';

const repo = 'team/app';

test('what nothing holds goes on being found while the removal of a file waits for the disk', async () => {
  let isHeld = false;
  const released = Promise.withResolvers<void>();
  const syncs = {
    database: { syncLog: fdatasync },
    blobs: {
      async syncShard(descriptor: number) {
        if (isHeld) await released.promise;
        await promisify(fsync)(descriptor);
      },
    },
  };
  const oneByOne = { 'windows.lease': '0', 'windows.trash': '0', 'windows.condemned': '0', 'collector.batch': '1' };
  await using registry = await ServedRegistry.start(oneByOne, syncs);
  const parts = [freshBytes(), freshBytes(), freshBytes()];
  for (const part of parts) await registry.pushBlob(repo, part);
  const [config = freshBytes(), ...layers] = parts;
  await registry.putManifest(repo, 'latest', JSON.stringify(imageOf(config, ...layers)));
  await registry.send(`/v2/${repo}/manifests/latest`, { method: 'DELETE' });
  isHeld = true;
  const collected = registry.collected();
  const dead = () => registry.rows(`select oid from object where state = 'dead'`).length;
  await until('all three are dead', () => dead() === 3);
  released.resolve();
  await collected;
  expect(registry.rows('select oid from object')).toEqual([]);
  expect(await registry.objectFiles()).toEqual([]);
});
