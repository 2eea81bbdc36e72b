import { describe, expect, test } from 'bun:test';
import { S3BlobStore } from '../../src/blobs/s3/store.ts';
import { Upload } from '../blobs/upload.ts';
import { digestOf, freshBytes } from '../http/content.ts';
import { InjectingProxy, operationOf } from './injecting-proxy.ts';
import { startMinio } from './minio-server.ts';
import { StorageServers } from './storage-servers.ts';
import { startVersitygw } from './versitygw-server.ts';

const mebibyte = 1024 * 1024;

describe.each([
  ['MinIO', startMinio],
  ['versitygw', startVersitygw],
])('%s takes no bytes that are not those that were sent, and gets them again:', (_, start) => {
  const storage = new StorageServers({ s3: start });

  test.each([
    ['of a blob in one request', 'PutObject', 1000, 'perhaps-final'],
    ['of a part', 'UploadPart', 20 * mebibyte, 'perhaps-final'],
    ['of a piece that is too small for a part', 'PutObject', 1000, 'more'],
  ] as const)('%s', async (_name, operation, sizeBytes, end) => {
    const { settings } = await storage.s3.newBucket();
    await using proxy = new InjectingProxy(storage.s3.endpoint);
    const store = await S3BlobStore.open({ ...settings, endpoint: proxy.endpoint });
    proxy.inject = (request) =>
      operationOf(request) === operation && proxy.injections === 0 ? { do: 'damage-request' } : undefined;
    const bytes = freshBytes(sizeBytes);
    const upload = new Upload(store, 'ab0123456789abcdef0123456789abcd');
    await upload.append(bytes, end);
    await upload.sync();
    expect(proxy.damaged).toEqual([{ operation, status: 400 }]);
    expect(digestOf(await store.read(upload.oid).bytes())).toBe(digestOf(bytes));
  });
});
