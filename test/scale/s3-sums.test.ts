import { describe, expect, test } from 'bun:test';
import { Bucket } from '../../src/blobs/s3/bucket.ts';
import { copyObject } from '../../src/blobs/s3/copying.ts';
import { S3BlobStore } from '../../src/blobs/s3/store.ts';
import { BlobStoreBusyError } from '../../src/blobs/store.ts';
import { Upload } from '../blobs/upload.ts';
import { digestOf, freshBytes } from '../http/content.ts';
import { refusalOf } from '../pairs/refusal.ts';
import { type Inject, InjectingProxy, operationOf } from './injecting-proxy.ts';
import { startMinio } from './minio-server.ts';
import { StorageServers } from './storage-servers.ts';
import { startVersitygw } from './versitygw-server.ts';

const mebibyte = 1024 * 1024;
const oid = 'ab0123456789abcdef0123456789abcd';

/** Refuses the requests of some operations that come without a sum of their bytes, but for that of the signature. */
function refusingWithoutSum(operations: readonly string[], isSum: (header: string) => boolean, code: string): Inject {
  return (request) =>
    operations.includes(operationOf(request)) && ![...request.headers.keys()].some(isSum)
      ? { do: 'answer', status: 400, code }
      : undefined;
}

const isMd5 = (header: string) => header === 'content-md5';

describe.each([
  ['MinIO', startMinio],
  ['versitygw', startVersitygw],
])('%s', (_, start) => {
  const storage = new StorageServers({ s3: start });

  test.each(['InvalidRequest', 'MissingContentMD5'])(
    'takes what is written where that is refused without a sum (%s)',
    async (code) => {
      const { settings } = await storage.s3.newBucket();
      await using proxy = new InjectingProxy(storage.s3.endpoint);
      const isSum = (header: string) => isMd5(header) || header.startsWith('x-amz-checksum-');
      proxy.inject = refusingWithoutSum(['PutObject', 'UploadPart'], isSum, code);
      const store = await S3BlobStore.open({ ...settings, endpoint: proxy.endpoint });
      const [small, large] = [freshBytes(1000), freshBytes(20 * mebibyte)];
      for (const [bytes, end] of [
        [small, 'perhaps-final'],
        [large, 'perhaps-final'],
        [small, 'more'],
      ] as const) {
        const upload = new Upload(store, oid);
        await upload.append(bytes, end);
        await upload.sync();
        expect(digestOf(await store.read(oid).bytes())).toBe(digestOf(bytes));
        await store.remove(oid);
      }
      // Once it has been told, it sends nothing twice.
      expect(proxy.injections).toBe(1);
    },
  );

  test('is sent an MD5 with all that is written where objects are locked, before it has refused any', async () => {
    const { settings } = await storage.s3.newBucket({ isLocked: true });
    await using proxy = new InjectingProxy(storage.s3.endpoint);
    const store = await S3BlobStore.open({ ...settings, endpoint: proxy.endpoint });
    proxy.takeCounts();
    const bytes = freshBytes(20 * mebibyte);
    const upload = new Upload(store, oid);
    for (const half of [bytes.subarray(0, 1000), bytes.subarray(1000)]) await upload.append(half, 'more');
    await upload.sync();
    const written = proxy.requests.filter(({ method }) => method === 'PUT');
    expect(new Set(written.map(operationOf))).toEqual(new Set(['PutObject', 'UploadPart']));
    expect(written.filter(({ headers }) => !headers.has('content-md5'))).toEqual([]);
    expect(digestOf(await store.read(oid).bytes())).toBe(digestOf(bytes));
  });

  test('copies a locked object, of which no bytes come here to have a sum', async () => {
    const { settings } = await storage.s3.newBucket({ isLocked: true });
    const bucket = new Bucket(settings);
    const bytes = freshBytes(12 * mebibyte);
    await bucket.put('from', bytes);
    for (const atOnceBytes of [5 * mebibyte, undefined]) {
      await copyObject(bucket, { from: 'from', to: 'to' }, atOnceBytes);
      expect(digestOf((await bucket.readAll('to')).bytes)).toBe(digestOf(bytes));
    }
  });

  test('is not sent a sum with what is written where it asks for none', async () => {
    const { settings } = await storage.s3.newBucket();
    await using proxy = new InjectingProxy(storage.s3.endpoint);
    const store = await S3BlobStore.open({ ...settings, endpoint: proxy.endpoint });
    await new Upload(store, oid).append(freshBytes(1000), 'perhaps-final');
    expect(proxy.requests.filter(({ headers }) => headers.has('content-md5'))).toEqual([]);
  });

  test('removes objects also where that is refused without their MD5', async () => {
    const bucket = await storage.s3.newBucket();
    await using proxy = new InjectingProxy(storage.s3.endpoint);
    proxy.inject = refusingWithoutSum(['DeleteObjects'], isMd5, 'InvalidRequest');
    const store = await S3BlobStore.open({ ...bucket.settings, endpoint: proxy.endpoint });
    const upload = new Upload(store, oid);
    await upload.append(freshBytes(1000), 'perhaps-final');
    await upload.sync();
    await store.remove(oid);
    expect(await bucket.keys()).toEqual([`${bucket.settings.prefix}wherry`]);
    expect(proxy.injections).toBe(0);
  });

  test('refuses what is written for another reason, and is asked no more than twice', async () => {
    const { settings } = await storage.s3.newBucket();
    await using proxy = new InjectingProxy(storage.s3.endpoint);
    const store = await S3BlobStore.open({ ...settings, endpoint: proxy.endpoint });
    proxy.inject = refusingWithoutSum(['PutObject'], () => false, 'InvalidRequest');
    const refusal = await refusalOf(new Upload(store, oid).append(freshBytes(1000), 'perhaps-final'));
    expect(refusal).toBeInstanceOf(BlobStoreBusyError);
    expect(proxy.injections).toBe(2);
  });
});
