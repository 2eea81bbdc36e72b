import { expect, test } from 'bun:test';
import { readdirSync } from 'node:fs';
import { Checkpoint } from '../../src/fsck/checkpoint.ts';
import { fsck, type Progress, type Reported } from '../../src/fsck/fsck.ts';
import { Pace } from '../../src/fsck/pace.ts';
import { digestOf, freshBytes, imageOf } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { placesBeside } from '../pairs/checked-places.ts';
import { openBlobs } from '../pairs/stores-beside.ts';
import { beside } from './beside.ts';

const repo = 'team/app';

async function rehashed(registry: ServedRegistry, from?: string): Promise<{ findings: Reported[]; bytes: number }> {
  let bytes = 0;
  const onProgress = ({ name, done }: Progress): void => {
    if (name === 'bytes of blobs') bytes = done;
  };
  const rehash = { bytesPerSecond: 1e9, from };
  const places = placesBeside(registry.dataDirectory);
  const findings = await Array.fromAsync(fsck({ ...places, now: registry.clock.now(), rehash, onProgress }));
  return { findings, bytes };
}

function oidOf(registry: ServedRegistry, digest: string): string {
  const [row] = registry.rows<{ oid: string }>('select oid from object where live_digest = ?', digest);
  return row?.oid ?? '';
}

test.each(['beside its server', 'while no server runs'])(
  'a blob whose bytes have changed is put into quarantine %s, is not served any more, and a push mends it',
  async (when) => {
    await using registry = await ServedRegistry.start();
    const [config, layer] = [freshBytes(), freshBytes()];
    await registry.pushBlob(repo, config);
    const digest = await registry.pushBlob(repo, layer);
    await registry.putManifest(repo, 'latest', imageOf(config, layer));
    const oid = oidOf(registry, digest);
    const damaged = freshBytes();
    await registry.objects.write(oid, damaged);
    if (when === 'while no server runs') await registry.stop();

    const { findings } = await rehashed(registry);
    expect(findings).toMatchObject([
      { code: 'F1', severity: 'loss', about: `object ${oid}`, breaks: [`${repo}:latest`] },
    ]);
    const { dataDirectory, clock } = registry;
    const kept = await (await beside(dataDirectory)).bytesOf(`quarantine/${oid}`);
    expect(new Uint8Array(kept ?? [])).toEqual(damaged);
    const blobs = await openBlobs(dataDirectory);
    expect([await blobs.isQuarantined(oid), await blobs.quarantinedCount()]).toEqual([true, 1]);

    const [again] = await Array.fromAsync(fsck({ ...placesBeside(dataDirectory), now: clock.now() }));
    expect(again).toMatchObject({ code: 'F1', message: `the file of ${digest} is in quarantine` });

    if (when === 'while no server runs') await registry.resume();
    expect((await registry.send(`/v2/${repo}/blobs/${digest}`)).status).toBe(404);
    expect((await registry.send(`/v2/${repo}/blobs/${digest}`, { method: 'HEAD' })).status).toBe(404);
    await registry.pushBlob(repo, layer);
    expect(digestOf(await (await registry.send(`/v2/${repo}/blobs/${digest}`)).bytes())).toBe(digest);
    await registry.collected();
    expect((await rehashed(registry)).findings).toEqual([]);
  },
);

test('reading all blobs goes on where it was broken off, and begins anew once it has come to the end', async () => {
  await using registry = await ServedRegistry.start();
  const digests = [];
  for (let count = 0; count < 4; count++) digests.push(await registry.pushBlob(repo, freshBytes(1000)));
  const oids = digests.map((digest) => oidOf(registry, digest)).toSorted();
  expect((await rehashed(registry)).bytes).toBe(4000);
  expect((await rehashed(registry, oids[2])).bytes).toBe(1000);

  let now = 0;
  const checkpoint = new Checkpoint(registry.dataDirectory, () => now);
  now = 10_000;
  checkpoint.passed(oids[0] ?? '');
  expect((await rehashed(registry)).bytes).toBe(3000);
  expect(readdirSync(registry.dataDirectory).filter((name) => name.startsWith('fsck'))).toEqual([]);
  expect((await rehashed(registry)).bytes).toBe(4000);
});

test('blobs are read no faster than was said', async () => {
  let now = 0;
  const pace = new Pace(
    1000,
    () => now,
    async (ms) => {
      now += ms;
    },
  );
  for (let count = 0; count < 10; count++) await pace.took(500);
  expect(now).toBe(5000);
});

test('a look at the sizes alone reads no blob', async () => {
  await using registry = await ServedRegistry.start();
  const digest = await registry.pushBlob(repo, freshBytes());
  const oid = oidOf(registry, digest);
  await registry.objects.write(oid, freshBytes());
  const { dataDirectory, clock } = registry;
  expect(await Array.fromAsync(fsck({ ...placesBeside(dataDirectory), now: clock.now() }))).toEqual([]);
  expect(await (await beside(dataDirectory)).bytesOf(`quarantine/${oid}`)).toBeUndefined();
});
