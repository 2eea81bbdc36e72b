import { describe, expect, test } from 'bun:test';
import { Bucket } from '../../src/blobs/s3/bucket.ts';
import { S3BlobStore } from '../../src/blobs/s3/store.ts';
import { describeBlobStore } from '../blobs/contract.ts';
import { expectGreatestToStay } from '../blobs/numbers-at-once.ts';
import { Upload } from '../blobs/upload.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { ManualClock } from '../server/manual-clock.ts';
import { until } from '../server/until.ts';
import { InjectingProxy, operationOf } from './injecting-proxy.ts';
import { startMinio } from './minio-server.ts';
import { StorageServers } from './storage-servers.ts';
import { startVersitygw } from './versitygw-server.ts';

describe.each([
  ['MinIO', startMinio],
  ['versitygw', startVersitygw],
])('%s', (_server, start) => {
  const storage = new StorageServers({ s3: start });

  describe.each([
    ['in a bucket,', { isVersioned: false, knowsConditions: true }],
    ['in a bucket that keeps versions,', { isVersioned: true, knowsConditions: true }],
    ['in a bucket of a server that knows no conditions,', { isVersioned: false, knowsConditions: false }],
  ])('%s', (_, { isVersioned, knowsConditions }) => {
    describeBlobStore(async () => {
      const { settings } = await storage.s3.newBucket({ isVersioned });
      const open = () => S3BlobStore.open(settings, { knowsConditions: knowsConditions ? undefined : false });
      return { store: await open(), other: await open() };
    });
  });

  test('the greatest number stays of those that several processes set at once', async () => {
    const { settings } = await storage.s3.newBucket();
    await expectGreatestToStay(await S3BlobStore.open(settings), await S3BlobStore.open(settings));
  });

  describe('a bucket that keeps versions', () => {
    test('keeps none of an object that is removed', async () => {
      const bucket = await storage.s3.newBucket({ isVersioned: true });
      const store = await S3BlobStore.open(bucket.settings);
      expect(store.traits).toEqual({ isVersioned: true, isLocked: false });
      const upload = new Upload(store, 'ab0123456789abcdef0123456789abcd');
      for (const bytes of ['some', 'more']) await upload.append(bytes, 'more');
      await upload.sync();
      upload.restart();
      await upload.append('other bytes in its place', 'more');
      await upload.sync();
      expect((await bucket.keys()).length).toBeGreaterThan(2);
      await store.remove(upload.oid);
      expect(await bucket.keys()).toEqual([`${bucket.settings.prefix}wherry`]);
    });

    test('keeps none either where it began to after the store was opened', async () => {
      const bucket = await storage.s3.newBucket();
      const store = await S3BlobStore.open(bucket.settings);
      const upload = new Upload(store, 'ab0123456789abcdef0123456789abcd');
      await upload.append('a secret', 'final');
      await upload.sync();
      await bucket.keepVersions();
      await store.remove(upload.oid);
      expect(await bucket.keys()).toEqual([`${bucket.settings.prefix}wherry`]);
    });

    test('keeps one of the generation only, however often that is set', async () => {
      const bucket = await storage.s3.newBucket({ isVersioned: true });
      const [store, other] = [await S3BlobStore.open(bucket.settings), await S3BlobStore.open(bucket.settings)];
      await new Bucket(bucket.settings).put('of-wherry/generations', Buffer.from('of somebody else'));
      for (let generation = 1; generation < 6; generation++) {
        await Promise.all([store.setGeneration(generation), other.setGeneration(generation)]);
      }
      expect(await store.generation()).toBe(5);
      const left = ['generation', 'generations', 'wherry'].map((name) => `of-wherry/${name}`);
      await until('the others are gone', async () => Bun.deepEquals(await bucket.keys(), left));
    });

    test('has nobody wait for those of the generation, and those that are locked tried again an hour later', async () => {
      const bucket = await storage.s3.newBucket({ isVersioned: true });
      const clock = new ManualClock();
      await using proxy = new InjectingProxy(storage.s3.endpoint);
      const mayGoOn = Promise.withResolvers<void>();
      const removals = { held: 0, refused: 0, areLocked: false };
      proxy.inject = (request) => {
        if (operationOf(request) !== 'DeleteObjects') return undefined;
        if (removals.areLocked) {
          removals.refused++;
          return { do: 'answer', status: 403, code: 'AccessDenied' };
        }
        return removals.held++ === 0 ? { do: 'hold', until: mayGoOn.promise } : undefined;
      };
      const store = await S3BlobStore.open(
        { ...bucket.settings, endpoint: proxy.endpoint },
        { monotonic: () => clock.monotonic() },
      );
      let generation = 0;
      for (let times = 0; times < 3; times++) await store.setGeneration(++generation);
      await until('one is about to go', () => removals.held === 1);
      await store.setGeneration(++generation);
      removals.areLocked = true;
      mayGoOn.resolve();
      await until('it is said that they stay', () => removals.refused > 0);
      for (let times = 0; times < 3; times++) await store.setGeneration(++generation);
      expect((await bucket.keys()).length).toBeGreaterThan(4);
      removals.areLocked = false;
      const before = removals.held;
      await until('it is tried again', async () => {
        clock.advance(3_600_000);
        await store.setGeneration(++generation);
        return removals.held > before;
      });
      await until('they are gone', async () => (await bucket.keys()).length === 2);
      expect(removals.refused).toBe(1);
    });

    test.each([
      ['keeps none either where it does not tell that it keeps any', false],
      ['may keep some where it lets nobody list them, and that is said', true],
    ])('%s', async (_name, isListingRefused) => {
      const bucket = await storage.s3.newBucket({ isVersioned: true });
      await using proxy = new InjectingProxy(storage.s3.endpoint);
      proxy.inject = ({ query }) =>
        query.has('versioning') || (isListingRefused && query.has('versions'))
          ? { do: 'answer', status: 403, code: 'AccessDenied' }
          : undefined;
      const store = await S3BlobStore.open({ ...bucket.settings, endpoint: proxy.endpoint });
      expect(store.traits).toBeUndefined();
      const upload = new Upload(store, 'ab0123456789abcdef0123456789abcd');
      await upload.append('a secret', 'final');
      await upload.sync();
      await store.remove(upload.oid);
      expect(await store.size(upload.oid)).toBeUndefined();
      expect(store.mayKeepRemoved).toBe(isListingRefused);
      expect((await bucket.keys()).length > 1).toBe(isListingRefused);
    });

    test('and locks them is told from one that does not', async () => {
      const { settings } = await storage.s3.newBucket({ isLocked: true });
      expect((await S3BlobStore.open(settings)).traits).toEqual({ isVersioned: true, isLocked: true });
    });

    test('and does not say whether it locks them is told of when a server starts', async () => {
      const { name } = await storage.s3.newBucket({ isLocked: true });
      await using proxy = new InjectingProxy(storage.s3.endpoint);
      proxy.inject = ({ query }) =>
        query.has('object-lock') ? { do: 'answer', status: 403, code: 'AccessDenied' } : undefined;
      await using registry = await ServedRegistry.start({ blobs: `s3://${name}`, 's3.endpoint': proxy.endpoint });
      expect(registry.logged.join('')).toContain('the bucket does not tell whether it locks objects');
    });
  });
});
