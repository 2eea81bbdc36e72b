import { promisify } from 'node:util';
import { fdatasync, fsync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { expect, test } from 'bun:test';
import type { Syncs } from '../../src/stores/syncs.ts';
import { until } from '../server/until.ts';
import { freshBytes, imageOf } from './content.ts';
import { ServedRegistry } from './served-registry.ts';

const repo = 'team/app';

test('no more files are being removed at a time than sixteen', async () => {
  let [underWay, most] = [0, 0];
  const counted = async <T>(remove: () => Promise<T>): Promise<T> => {
    underWay++;
    most = Math.max(most, underWay);
    await new Promise(setImmediate);
    const result = await remove();
    underWay--;
    return result;
  };
  const syncs: Syncs = {
    database: { syncLog: fdatasync },
    blobs: { unlink: (path) => counted(() => unlink(path)) },
    bucket: { remove: counted },
  };
  await using registry = await ServedRegistry.start({ 'windows.lease': '0', 'windows.condemned': '0' }, syncs);
  for (let count = 0; count < 60; count++) await registry.pushBlob(repo, freshBytes());
  await registry.collected();
  expect(await registry.objectFiles()).toEqual([]);
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(16);
});

test('what nothing holds goes on being found while the removal of a file waits for the disk', async () => {
  let isHeld = false;
  const released = Promise.withResolvers<void>();
  const syncs: Syncs = {
    database: { syncLog: fdatasync },
    blobs: {
      async syncShard(descriptor) {
        if (isHeld) await released.promise;
        await promisify(fsync)(descriptor);
      },
    },
    bucket: {
      async remove(send) {
        const result = await send();
        if (isHeld) await released.promise;
        return result;
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
