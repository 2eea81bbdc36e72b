import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { PutObjectRetentionCommand, S3Client } from '@aws-sdk/client-s3';
import { Bucket } from '../../src/blobs/s3/bucket.ts';
import { copyObject } from '../../src/blobs/s3/copying.ts';
import { S3BlobStore } from '../../src/blobs/s3/store.ts';
import type { S3Settings } from '../../src/blobs/s3/settings.ts';
import { fsck, type FsckOptions } from '../../src/fsck/fsck.ts';
import { BucketBytes } from '../../src/fsck/s3/bytes.ts';
import { digestOf, freshBytes } from '../http/content.ts';
import { ServedRegistry, type Settings } from '../http/served-registry.ts';
import type { S3Server } from './s3-server.ts';
import { StorageServers } from './storage-servers.ts';
import { startTestedS3 } from './tested-s3.ts';

const storage = new StorageServers({ s3: startTestedS3 });

const mebibyte = 1024 * 1024;
const repo = 'team/app';

let bucket: Bucket;
let settings: S3Settings;
let registry: ServedRegistry;

async function start(options: Parameters<S3Server['newBucket']>[0] = {}): Promise<void> {
  ({ settings } = await storage.s3.newBucket(options));
  bucket = new Bucket(settings);
  registry = await ServedRegistry.start(registrySettings());
}

function registrySettings(): Settings {
  return { blobs: `s3://${settings.bucket}/${settings.prefix}`, 's3.endpoint': storage.s3.endpoint };
}

beforeEach(() => start());

afterEach(async () => {
  await registry[Symbol.asyncDispose]();
});

/** What is found, as `severity code about`. The registry's clock is years ahead of the bucket's. */
async function found(options: Partial<FsckOptions> = {}): Promise<readonly string[]> {
  const { dataDirectory, clock } = registry;
  const findings = await Array.fromAsync(fsck({ dataDirectory, bucket: settings, now: clock.now(), ...options }));
  return findings.map(({ severity, code, about }) => `${severity} ${code} ${about}`).toSorted();
}

function keyOf(oid: string): string {
  return `${settings.prefix}objects/${oid.slice(0, 2)}/${oid}`;
}

function urlOf(key: string): string {
  return `s3://${settings.bucket}/${key}`;
}

async function pushed(bytes: Uint8Array): Promise<{ readonly oid: string; readonly digest: string }> {
  const digest = await registry.pushBlob(repo, bytes);
  const [row] = registry.rows<{ oid: string }>('select oid from object where live_digest = ?', digest);
  return { oid: row?.oid ?? '', digest };
}

async function isThere(key: string): Promise<boolean> {
  return (await bucket.look(key)) !== undefined;
}

describe('F12, an upload that the bucket has and nothing will finish is found, and aborted by a repair:', () => {
  test('one of no object, once it is a day old', async () => {
    const key = keyOf('ab'.repeat(16));
    const { id } = await bucket.beginUpload(key, 'nobody');
    expect(await found({ now: Date.now() })).toEqual([]);
    const leak = [`leak F12 upload to ${urlOf(key)}`];
    expect(await found()).toEqual(leak);
    await registry.stop();
    expect(await found({ repair: true })).toEqual(leak);
    expect(await bucket.listings.uploadsOf(key)).not.toContain(id);
    expect(await found()).toEqual([]);
  });

  test('one of an object that was finished without it, by the server that runs', async () => {
    const { oid } = await pushed(freshBytes());
    await bucket.beginUpload(keyOf(oid), 'one that was overtaken');
    expect(await found()).toEqual([`leak F12 upload to ${urlOf(keyOf(oid))}`]);
    expect(await (await registry.admin('POST', '/fsck', { repair: true })).text()).toContain('"isRepaired":true');
    expect(await found()).toEqual([]);
    expect(await isThere(keyOf(oid))).toBe(true);
  });

  test('and one of an upload that goes on is none', async () => {
    const session = await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
    const location = session.headers.get('location') ?? '';
    await registry.send(location, { method: 'PATCH', body: freshBytes(20 * mebibyte) });
    const [row] = registry.rows<{ oid: string }>('select oid from upload where oid is not null');
    expect(await bucket.listings.uploadsOf(keyOf(row?.oid ?? ''))).toHaveLength(1);
    expect(await found()).toEqual([]);
  });
});

test('F2, a piece of an upload is found once its object needs it no more, and removed without the object', async () => {
  const { oid } = await pushed(freshBytes());
  const piece = `${keyOf(oid)}.tail-of-one-that-was-overtaken`;
  await bucket.put(piece, Buffer.from('late'));
  expect(await found({ now: Date.now() })).toEqual([]);
  expect(await found()).toEqual([`leak F2 ${urlOf(piece)}`]);
  await registry.stop();
  await found({ repair: true });
  expect([await isThere(piece), await isThere(keyOf(oid))]).toEqual([false, true]);
  expect(await found()).toEqual([]);
});

test('more objects than one listing tells are each compared with their own bytes', async () => {
  const { oid } = await pushed(freshBytes());
  await registry.stop();
  const prefix = oid.slice(0, 29);
  const others = Array.from({ length: 1100 }, (_, index) => `${prefix}${index.toString(16).padStart(3, '0')}`);
  const strays = others.filter((other) => other !== oid);
  for (let at = 0; at < strays.length; at += 50) {
    await Promise.all(strays.slice(at, at + 50).map((stray) => bucket.put(keyOf(stray), Buffer.from('x'))));
  }
  expect(await found()).toEqual(strays.map((stray) => `leak F2 ${urlOf(keyOf(stray))}`).toSorted());
  await found({ repair: true });
  expect(await found()).toEqual([]);
}, 60_000);

test('a bucket that keeps versions has none left of what is put aside or removed, and of what is gone they are found', async () => {
  await registry[Symbol.asyncDispose]();
  await start({ isVersioned: true });
  const { oid, digest } = await pushed(freshBytes());
  const stray = keyOf('ab'.repeat(16));
  await bucket.put(stray, Buffer.from('one'));
  // Without its id, a version only gets a mark that it was removed.
  await bucket.remove([{ key: stray }]);
  await bucket.put(keyOf(oid), freshBytes());
  await registry.stop();
  expect(await found({ repair: true, rehash: { bytesPerSecond: 1e9, from: '' } })).toEqual([
    `leak F2 ${urlOf(stray)}`,
    `loss F1 object ${oid}`,
  ]);
  expect(await bucket.listings.objectsUnder(`${settings.prefix}objects/`, true)).toEqual([]);
  await registry.resume(registrySettings());
  expect((await registry.send(`/v2/${repo}/blobs/${digest}`)).status).toBe(404);
  const store = await S3BlobStore.open(settings);
  expect([await store.isQuarantined(oid), await store.quarantinedCount()]).toEqual([true, 1]);
  await store.removeQuarantined(oid);
  expect(await bucket.listings.objectsUnder(`${settings.prefix}quarantine/`, true)).toEqual([]);
});

test('a check of a bucket that keeps versions comes to its end, also where objects stay', async () => {
  await registry[Symbol.asyncDispose]();
  await start({ isVersioned: true });
  const oids = [(await pushed(freshBytes())).oid, (await pushed(freshBytes())).oid];
  for (const oid of oids) await bucket.put(keyOf(oid), await bucket.readAll(keyOf(oid)).then(({ bytes }) => bytes));
  expect(await found()).toEqual([]);
});

test('a purge removes the copy that was put aside', async () => {
  const { oid, digest } = await pushed(freshBytes());
  await bucket.put(keyOf(oid), freshBytes());
  expect(await found({ rehash: { bytesPerSecond: 1e9, from: '' } })).toEqual([`loss F1 object ${oid}`]);
  expect(await isThere(`${settings.prefix}quarantine/${oid}`)).toBe(true);
  const purged = await registry.admin('POST', '/purge', { digests: [digest], reason: 'a secret' });
  expect(purged.status).toBe(200);
  expect(await isThere(`${settings.prefix}quarantine/${oid}`)).toBe(false);
});

test('a bucket that locks objects serves no damaged one, and keeps what was to be removed until its lock ends', async () => {
  await registry[Symbol.asyncDispose]();
  await start({ isLocked: true });
  const { oid, digest } = await pushed(freshBytes());
  const stray = keyOf('ab'.repeat(16));
  await bucket.put(stray, Buffer.from('one'));
  await bucket.put(keyOf(oid), freshBytes());
  const client = new S3Client({ endpoint: storage.s3.endpoint, region: 'us-east-1', forcePathStyle: true });
  const RetainUntilDate = new Date(Date.now() + 86_400_000);
  const Retention = { Mode: 'COMPLIANCE', RetainUntilDate } as const;
  for (const Key of [stray, keyOf(oid)]) {
    await client.send(new PutObjectRetentionCommand({ Bucket: settings.bucket, Key, Retention }));
  }
  const { dataDirectory, clock } = registry;
  await registry.stop();
  const rehash = { bytesPerSecond: 1e9, from: '' };
  const told = fsck({ dataDirectory, bucket: settings, now: clock.now(), repair: true, rehash });
  const findings = (await Array.fromAsync(told)).map(({ code, isRepaired }) => `${code} ${isRepaired}`);
  expect(findings).toEqual(['F2 false', 'F1 false']);
  await registry.resume(registrySettings());
  expect((await registry.send(`/v2/${repo}/blobs/${digest}`)).status).toBe(404);
});

test('nothing stays of a copy whose object was purged before it was there', async () => {
  const { oid } = await pushed(freshBytes());
  const bytes = await BucketBytes.open(settings);
  expect(await bytes.quarantine(oid, async () => false)).toBeUndefined();
  expect([await isThere(keyOf(oid)), await bytes.isQuarantined(oid)]).toEqual([true, false]);
  expect(await bytes.quarantine('ab'.repeat(16), async () => true)).toBeUndefined();
});

test('F12, a copy that was not finished is found, and given up by a repair', async () => {
  const key = `${settings.prefix}quarantine/${'ab'.repeat(16)}`;
  await bucket.beginUpload(key, 'a check that was killed');
  await registry.stop();
  expect(await found({ repair: true })).toEqual([`leak F12 upload to ${urlOf(key)}`]);
  expect(await found()).toEqual([]);
});

test('a large object is copied in parts', async () => {
  const bytes = freshBytes(11 * mebibyte);
  const [from, to] = [`${settings.prefix}a name/of+it`, `${settings.prefix}copy`];
  await bucket.put(from, bytes);
  await copyObject(bucket, { from, to }, 5 * mebibyte);
  expect(digestOf((await bucket.readAll(to)).bytes)).toBe(digestOf(bytes));
  await copyObject(bucket, { from, to: `${to}-2` });
  expect(digestOf((await bucket.readAll(`${to}-2`)).bytes)).toBe(digestOf(bytes));
  expect(await bucket.listings.uploadsOf(to)).toEqual([]);
});

test('nothing is concluded where the bucket does not answer, or has no blobs of a registry', async () => {
  await pushed(freshBytes());
  expect(found({ bucket: { ...settings, prefix: 'of-nobody/' } })).rejects.toThrow('no registry keeps its blobs in');
  expect(found({ bucket: { ...settings, bucket: 'missing' } })).rejects.toThrow('NoSuchBucket');
});
