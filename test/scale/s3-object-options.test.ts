import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { HeadObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { Bucket } from '../../src/blobs/s3/bucket.ts';
import { copyObject } from '../../src/blobs/s3/copying.ts';
import type { S3Settings } from '../../src/blobs/s3/settings.ts';
import { S3BlobStore } from '../../src/blobs/s3/store.ts';
import { fsck } from '../../src/fsck/fsck.ts';
import { Upload } from '../blobs/upload.ts';
import { digestOf, freshBytes } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { InjectingProxy, operationOf } from './injecting-proxy.ts';
import { minioKey, startMinio, type TestBucket } from './minio-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ s3: startMinio });

const mebibyte = 1024 * 1024;
const oid = 'ab0123456789abcdef0123456789abcd';
const key = `of-wherry/objects/ab/${oid}`;
const copies = ['of-wherry/quarantine/at-once', 'of-wherry/quarantine/in-parts'] as const;

let bucket: TestBucket;
let proxy: InjectingProxy;
let settings: S3Settings;

beforeEach(async () => {
  bucket = await storage.s3.newBucket();
  proxy = new InjectingProxy(storage.s3.endpoint);
  settings = { ...bucket.settings, endpoint: proxy.endpoint };
});

afterEach(async () => {
  await proxy[Symbol.asyncDispose]();
});

/** What MinIO says of how an object is kept: its encryption, the key for that, and its storage class. */
async function kept(Key: string): Promise<readonly (string | undefined)[]> {
  const client = new S3Client({ endpoint: storage.s3.endpoint, region: 'us-east-1', forcePathStyle: true });
  const head = await client.send(new HeadObjectCommand({ Bucket: bucket.name, Key }));
  return [head.ServerSideEncryption, head.SSEKMSKeyId, head.StorageClass];
}

/** What has been asked for beside that: by each operation, the headers of the same. */
function asked(): readonly string[] {
  const names = ['x-amz-server-side-encryption', 'x-amz-server-side-encryption-aws-kms-key-id', 'x-amz-storage-class'];
  const told = proxy.requests
    .filter(({ method }) => method === 'PUT' || method === 'POST')
    .map((request) => [operationOf(request), ...names.map((name) => request.headers.get(name) ?? '-')].join(' '));
  proxy.takeCounts();
  return [...new Set(told)].toSorted();
}

async function push(store: S3BlobStore, bytes: Uint8Array): Promise<void> {
  const upload = new Upload(store, oid);
  await upload.append(bytes, 'perhaps-final');
  await upload.sync();
}

describe.each([
  [{ kind: 'AES256' }, 'AES256 -', ['AES256', undefined]],
  [{ kind: 'aws:kms', key: undefined }, 'aws:kms -', ['aws:kms', expect.stringContaining(minioKey)]],
  [{ kind: 'aws:kms', key: minioKey }, `aws:kms ${minioKey}`, ['aws:kms', expect.stringContaining(minioKey)]],
  [undefined, '- -', [undefined, undefined]],
] as const)('with the encryption %o and a storage class', (encryption, headers, told) => {
  const isKept = [...told, 'REDUCED_REDUNDANCY'];
  let store: S3BlobStore;

  beforeEach(async () => {
    settings = { ...settings, encryption, storageClass: 'REDUCED_REDUNDANCY' };
    store = await S3BlobStore.open(settings);
    proxy.takeCounts();
  });

  test('a small blob is kept so', async () => {
    const bytes = freshBytes(1000);
    await push(store, bytes);
    expect(asked()).toEqual([`PutObject ${headers} REDUCED_REDUNDANCY`]);
    expect(await kept(key)).toEqual(isKept);
    expect(await store.read(oid).bytes()).toEqual(bytes);
  });

  test('a large one is, all of its parts, as its beginning says it of them', async () => {
    const bytes = freshBytes(20 * mebibyte);
    await push(store, bytes);
    expect(asked()).toEqual([
      'CompleteMultipartUpload - - -',
      `CreateMultipartUpload ${headers} REDUCED_REDUNDANCY`,
      'UploadPart - - -',
    ]);
    expect(await kept(key)).toEqual(isKept);
    expect(digestOf(await store.read(oid).bytes())).toBe(digestOf(bytes));
  });

  test('a copy is, made at once or in parts', async () => {
    await push(store, freshBytes(11 * mebibyte));
    asked();
    const [atOnce, inParts] = copies;
    await copyObject(new Bucket(settings), { from: key, to: atOnce });
    await copyObject(new Bucket(settings), { from: key, to: inParts }, 5 * mebibyte);
    expect(asked()).toEqual([
      'CompleteMultipartUpload - - -',
      `CopyObject ${headers} REDUCED_REDUNDANCY`,
      `CreateMultipartUpload ${headers} REDUCED_REDUNDANCY`,
      'UploadPartCopy - - -',
    ]);
    for (const copy of copies) expect(await kept(copy)).toEqual(isKept);
  });
});

test('what was written before another setting keeps what it had, and is served as ever; a copy of it has the new', async () => {
  const bytes = freshBytes(1000);
  const before = { blobs: `s3://${bucket.name}/of-wherry/`, 's3.endpoint': proxy.endpoint };
  await using registry = await ServedRegistry.start(before);
  const digest = await registry.pushBlob('team/app', bytes);
  const damaged = await registry.pushBlob('team/app', freshBytes(100));
  const oidOf = (each: string): string =>
    registry.rows<{ oid: string }>('select oid from object where live_digest = ?', each)[0]?.oid ?? '';
  const keyOf = (each: string): string => `of-wherry/objects/${oidOf(each).slice(0, 2)}/${oidOf(each)}`;
  await registry.stop();
  await registry.resume({ ...before, 's3.encryption': 'AES256', 's3.storageClass': 'REDUCED_REDUNDANCY' });
  const later = await registry.pushBlob('team/app', freshBytes(1000));

  expect(await (await registry.send(`/v2/team/app/blobs/${digest}`)).bytes()).toEqual(bytes);
  expect(await kept(keyOf(digest))).toEqual([undefined, undefined, undefined]);
  expect(await kept(keyOf(later))).toEqual(['AES256', undefined, 'REDUCED_REDUNDANCY']);

  await new Bucket(settings).put(keyOf(damaged), freshBytes(100));
  const { dataDirectory, clock } = registry;
  const changed = { ...settings, encryption: { kind: 'AES256' }, storageClass: 'REDUCED_REDUNDANCY' } as const;
  const rehash = { bytesPerSecond: 1e9, from: '' };
  const findings = await Array.fromAsync(fsck({ dataDirectory, bucket: changed, now: clock.now(), rehash }));
  expect(findings.map(({ code }) => code)).toEqual(['F1']);
  expect(await kept(`of-wherry/quarantine/${oidOf(damaged)}`)).toEqual(['AES256', undefined, 'REDUCED_REDUNDANCY']);
});
