import { describe, expect, test } from 'bun:test';
import { digestOf, freshBytes, imageOf } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { startMinio } from './minio-server.ts';
import { StorageServers } from './storage-servers.ts';
import { startVersitygw } from './versitygw-server.ts';

const minuteMs = 60_000;
const repo = 'team/app';

describe.each([
  ['MinIO', startMinio],
  ['versitygw', startVersitygw],
])('%s: a URL to which a pull was sent', (_, start) => {
  const storage = new StorageServers({ s3: start });

  test('gives the bytes for as long as it holds, whatever is deleted meanwhile, and a minute later they go', async () => {
    const bucket = await storage.s3.newBucket();
    await using registry = await ServedRegistry.start({
      blobs: `s3://${bucket.name}`,
      's3.endpoint': storage.s3.endpoint,
      's3.redirect': 'on',
      's3.redirectLife': '10m',
      's3.lateWrites': '0',
      'windows.condemned': '10m',
      'windows.lease': '0',
      'windows.trash': '0',
    });
    const [config, layer] = [freshBytes(300), freshBytes(1000)];
    for (const bytes of [config, layer]) await registry.pushBlob(repo, bytes);
    const manifest = imageOf(config, layer);
    const pushed = await registry.putManifest(repo, 'latest', JSON.stringify(manifest));
    expect(pushed.status).toBe(201);
    const path = `/v2/${repo}/blobs/${manifest.layers[0]?.digest}`;
    const sentAway = await registry.send(path, { redirect: 'manual' });
    expect(sentAway.status).toBe(307);
    const url = sentAway.headers.get('location') ?? '';
    expect(new URL(url).searchParams.get('X-Amz-Expires')).toBe('600');

    const manifestPath = `/v2/${repo}/manifests/${pushed.headers.get('docker-content-digest')}`;
    expect((await registry.send(manifestPath, { method: 'DELETE' })).status).toBe(202);
    await registry.collected();
    expect((await registry.send(path, { redirect: 'manual' })).status).toBe(404);
    for (const passedMs of [10 * minuteMs - 1, minuteMs]) {
      registry.clock.advance(passedMs);
      await registry.collected();
      expect(digestOf(await (await fetch(url)).bytes())).toBe(digestOf(layer));
    }
    registry.clock.advance(1);
    await registry.collected();
    expect((await fetch(url)).status).toBe(404);
    expect((await bucket.keys()).filter((key) => key.startsWith('objects/'))).toEqual([]);
  });
});
