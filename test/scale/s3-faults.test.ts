import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { S3BlobStore } from '../../src/blobs/s3/store.ts';
import { BlobMissingError, BlobStoreBusyError, ClaimLostError } from '../../src/blobs/store.ts';
import { Upload } from '../blobs/upload.ts';
import { refusalOf } from '../pairs/refusal.ts';
import { type Injected, InjectingProxy, operationOf } from './injecting-proxy.ts';
import { startMinio, type TestBucket } from './minio-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ s3: startMinio });

const mebibyte = 1024 * 1024;
const oid = 'ab0123456789abcdef0123456789abcd';
const marker = 'of-wherry/wherry';
const key = `of-wherry/objects/ab/${oid}`;

let bucket: TestBucket;
let proxy: InjectingProxy;
/** Behind the proxy, and beside it. */
let store: S3BlobStore;
let other: S3BlobStore;
let upload: Upload;

beforeEach(async () => {
  bucket = await storage.s3.newBucket();
  proxy = new InjectingProxy(storage.s3.endpoint);
  store = await S3BlobStore.open({ ...bucket.settings, endpoint: proxy.endpoint });
  other = await S3BlobStore.open(bucket.settings);
  upload = new Upload(store, oid);
  proxy.takeCounts();
});

afterEach(async () => {
  await proxy[Symbol.asyncDispose]();
});

/** Expects the object to have these bytes, and nothing else to be in the bucket. */
async function expectOnly(bytes: Uint8Array): Promise<void> {
  expect(sha256(await other.read(oid).bytes())).toBe(sha256(bytes));
  expect(await bucket.keys()).toEqual([key, marker]);
  expect(await bucket.uploads()).toEqual([]);
}

/** Does something to the first so many requests of an operation. */
function injectInto(operation: string, injected: Injected, times = 1): void {
  let left = times;
  proxy.inject = (request) => {
    if (operationOf(request) !== operation || left === 0) return undefined;
    left--;
    return injected;
  };
}

const slowDown = { do: 'answer', status: 503, code: 'SlowDown' } as const;
const internal = { do: 'answer', status: 500, code: 'InternalError' } as const;
const cut = { do: 'cut' } as const;
const lost = { do: 'lose-answer', status: 500, code: 'InternalError' } as const;

describe('a push is not disturbed by', () => {
  const operations = ['PutObject', 'CreateMultipartUpload', 'UploadPart', 'CompleteMultipartUpload'];
  const faults = [slowDown, internal, cut, lost];
  test.each(operations.flatMap((operation) => faults.map((fault) => [operation, fault] as const)))(
    '%s once meeting %o',
    async (operation, fault) => {
      const bytes = randomBytes(operation === 'PutObject' ? 1000 : 20 * mebibyte);
      injectInto(operation, fault);
      await upload.append(bytes, 'perhaps-final');
      await upload.sync();
      await expectOnly(bytes);
    },
    60_000,
  );
});

test('a server that only says that it is busy is told of as busy, and the push can go on later', async () => {
  const bytes = randomBytes(20 * mebibyte);
  await upload.append(bytes.subarray(0, 14 * mebibyte), 'more');
  proxy.inject = () => slowDown;
  expect(await refusalOf(upload.append(bytes.subarray(14 * mebibyte), 'more'))).toBeInstanceOf(BlobStoreBusyError);
  expect(await refusalOf(upload.sync())).toBeInstanceOf(BlobStoreBusyError);
  expect(await refusalOf(store.open(oid, 1))).toBeInstanceOf(BlobStoreBusyError);
  expect(await refusalOf(store.size(oid))).toBeInstanceOf(BlobStoreBusyError);
  expect(await refusalOf(store.remove(oid))).toBeInstanceOf(BlobStoreBusyError);
  expect(await store.isReady()).toBe(false);
  proxy.inject = () => undefined;
  await upload.append(bytes.subarray(14 * mebibyte), 'more');
  await upload.sync();
  await expectOnly(bytes);
}, 120_000);

test('a server that does not answer at all is waited for no longer than calls may take', async () => {
  const patience = { attemptMs: 500, callMs: 2000 };
  const impatient = await S3BlobStore.open({ ...bucket.settings, endpoint: proxy.endpoint }, { patience });
  proxy.inject = () => ({ do: 'hold', until: new Promise(() => undefined) });
  expect(await refusalOf(impatient.size(oid))).toBeInstanceOf(BlobStoreBusyError);
  expect(await refusalOf(impatient.open(oid, 1))).toBeInstanceOf(BlobStoreBusyError);
  const writer = await impatient.append(oid, 0);
  await writer.write(Buffer.from('bytes'));
  expect(await refusalOf(writer.close('final'))).toBeInstanceOf(BlobStoreBusyError);
});

describe('the answer to the completion of an upload', () => {
  test('may be lost each time: the next one to close it finds it done', async () => {
    const bytes = randomBytes(20 * mebibyte);
    await upload.append(bytes, 'perhaps-final');
    injectInto('CompleteMultipartUpload', lost, 100);
    expect(await refusalOf(upload.sync())).toBeInstanceOf(BlobStoreBusyError);
    await upload.sync(other);
    await expectOnly(bytes);
  }, 60_000);

  test('may be lost for the last bytes too, which lay in pieces', async () => {
    const bytes = randomBytes(15 * mebibyte);
    await upload.append(bytes.subarray(0, 14 * mebibyte), 'more');
    await upload.append(bytes.subarray(14 * mebibyte), 'more');
    injectInto('CompleteMultipartUpload', lost, 100);
    expect(await refusalOf(upload.sync())).toBeInstanceOf(BlobStoreBusyError);
    await upload.sync(other);
    await expectOnly(bytes);
  }, 60_000);
});

describe('a writer that was overtaken', () => {
  test('cannot take the place of a whole object with one of its own, however late', async () => {
    const { promise, resolve: letGo } = Promise.withResolvers<undefined>();
    injectInto('PutObject', { do: 'hold', until: promise });
    const late = await upload.writer();
    await late.write('late');
    const closing = late.close('perhaps-final');
    await upload.append('published', 'perhaps-final', other);
    await upload.sync(other);
    letGo(undefined);
    await closing;
    expect(Buffer.from(await other.read(oid).bytes()).toString()).toBe('published');
    // What it has begun instead goes with the object.
    await other.remove(oid);
    expect(await bucket.keys()).toEqual([marker]);
    expect(await bucket.uploads()).toEqual([]);
  });

  test('and had completed its own over a whole object is noticed', async () => {
    const late = await upload.writer();
    await late.write(randomBytes(20 * mebibyte));
    const progress = await late.close('final');
    await upload.append('whole', 'perhaps-final', other);
    await store.sync(oid, { progress, epoch: late.epoch });
    expect(await refusalOf(upload.sync(other))).toBeInstanceOf(BlobMissingError);
    expect(await refusalOf(upload.append('more', 'more', other))).toBeInstanceOf(BlobMissingError);
    upload.restart();
    await upload.append('again', 'perhaps-final', other);
    await upload.sync(other);
    await expectOnly(Buffer.from('again'));
  });

  test('completes nothing once another has come', async () => {
    const late = await upload.writer();
    await late.write(randomBytes(20 * mebibyte));
    const progress = await late.close('final');
    const claim = { progress, epoch: late.epoch, isHeld: async () => await Promise.resolve(false) };
    expect(await refusalOf(store.sync(oid, claim))).toBeInstanceOf(ClaimLostError);
    expect(await other.size(oid)).toBeUndefined();
  });

  test('whose upload would be completed late finds it gone', async () => {
    const late = await upload.writer();
    await late.write(randomBytes(20 * mebibyte));
    const progress = await late.close('final');
    const bytes = randomBytes(20 * mebibyte);
    await upload.append(bytes, 'perhaps-final', other);
    await upload.sync(other);
    expect(await refusalOf(store.sync(oid, { progress, epoch: late.epoch }))).toBeInstanceOf(BlobMissingError);
    await expectOnly(bytes);
  });

  test('which puts other bytes in the place of a part makes the completion fail, never a wrong blob', async () => {
    await upload.append(randomBytes(8 * mebibyte), 'more');
    const late = await upload.writer();
    await upload.append(randomBytes(8 * mebibyte), 'more', other);
    await late.write(randomBytes(8 * mebibyte));
    await late.close('more');
    expect(await refusalOf(upload.sync(other))).toBeInstanceOf(BlobMissingError);
    expect(await other.size(oid)).toBeUndefined();
    // The client is told to begin again.
    upload.restart();
    await upload.append('again', 'perhaps-final', other);
    await upload.sync(other);
    await expectOnly(Buffer.from('again'));
  });
});

describe('a writer that died leaves nothing behind once the object is published:', () => {
  test.each([
    ['after it has begun the upload', 'CreateMultipartUpload', 14 * mebibyte],
    ['while it sends a part', 'UploadPart', 30 * mebibyte],
    ['when it had put a piece aside', 'PutObject', 1000],
  ])('%s', async (_, operation, sizeBytes) => {
    const never = new Promise<undefined>(() => undefined);
    const reached = Promise.withResolvers<undefined>();
    proxy.inject = (request) => {
      if (operationOf(request) !== operation) return undefined;
      reached.resolve(undefined);
      return operation === 'UploadPart' ? { do: 'hold', until: never } : undefined;
    };
    const dead = await upload.writer();
    // Nobody closes it.
    void dead.write(randomBytes(sizeBytes)).catch(() => undefined);
    if (operation === 'PutObject') void dead.close('more');
    await reached.promise;
    await Bun.sleep(0);
    const bytes = randomBytes(3 * mebibyte);
    await upload.append(bytes, 'more', other);
    await upload.append(bytes, 'more', other);
    await upload.sync(other);
    if (operation === 'UploadPart') await expectOnly(Buffer.concat([bytes, bytes]));
    else expect(await other.size(oid)).toBe(6 * mebibyte);
    await other.remove(oid);
    expect(await bucket.keys()).toEqual([marker]);
    expect(await bucket.uploads()).toEqual([]);
  });
});

test('a pull that the server breaks off ends with an error, never early', async () => {
  const bytes = randomBytes(4 * mebibyte);
  await upload.append(bytes, 'perhaps-final');
  await upload.sync();
  injectInto('GetObject', { do: 'cut-body', afterBytes: 100_000 });
  expect(await refusalOf(new Response(await store.open(oid, bytes.byteLength)).bytes())).toBeInstanceOf(Error);
});

test('a small blob is asked for again where the server breaks it off, and a large one that it breaks off is told of as busy', async () => {
  const bytes = randomBytes(1000);
  await upload.append(bytes, 'perhaps-final');
  await upload.sync();
  injectInto('GetObject', { do: 'cut-body', afterBytes: 100 });
  expect(await new Response(await store.open(oid, bytes.byteLength)).bytes()).toEqual(new Uint8Array(bytes));
  injectInto('GetObject', { do: 'cut-body', afterBytes: 100 }, 100);
  expect(await refusalOf(store.open(oid, bytes.byteLength))).toBeInstanceOf(BlobStoreBusyError);
  expect(await refusalOf(store.read(oid).arrayBuffer())).toBeInstanceOf(BlobStoreBusyError);
});

test('a pull that is cut off ends with an error', async () => {
  const bytes = randomBytes(64 * mebibyte);
  await upload.append(bytes, 'perhaps-final');
  await upload.sync();
  const reader = new Response(await other.open(oid, bytes.byteLength)).body?.getReader();
  await reader?.read();
  await other.cutRemoved(new Set([oid]));
  const rest = async (): Promise<void> => {
    while ((await reader?.read())?.done !== true);
  };
  expect(await refusalOf(rest())).toBeInstanceOf(Error);
});

describe('what a push costs:', () => {
  test('a small blob is one request, and as many bytes as it has', async () => {
    await upload.append(randomBytes(1000), 'perhaps-final');
    await upload.sync();
    expect(proxy.writtenBytes).toBe(1000);
    expect(proxy.takeCounts()).toEqual({ PutObject: 1 });
  });

  test('a large blob is a request a part and two more, and as many bytes as it has', async () => {
    await upload.append(randomBytes(50 * mebibyte), 'perhaps-final');
    await upload.sync();
    expect(proxy.writtenBytes).toBe(50 * mebibyte);
    expect(proxy.takeCounts()).toEqual({ CreateMultipartUpload: 1, UploadPart: 6, CompleteMultipartUpload: 1 });
  });

  test('a pull is one request', async () => {
    await upload.append('bytes', 'perhaps-final');
    await upload.sync();
    proxy.takeCounts();
    await new Response(await store.open(oid, 5)).bytes();
    expect(proxy.takeCounts()).toEqual({ GetObject: 1 });
  });

  test('a removal is a look at what the bucket keeps, two lists, and one request for all that there is', async () => {
    await upload.append('bytes', 'perhaps-final');
    await upload.sync();
    proxy.takeCounts();
    await store.remove(oid);
    expect(proxy.takeCounts()).toEqual({ ListMultipartUploads: 1, GetBucket: 1, ListObjects: 1, DeleteObjects: 1 });
  });

  test('removals at the same time share requests, and all is gone', async () => {
    const oids = Array.from({ length: 20 }, (_, index) => `ab${String(index).padStart(30, '0')}`);
    for (const each of oids) {
      const one = new Upload(store, each);
      await one.append('bytes', 'perhaps-final');
      await one.sync();
    }
    proxy.takeCounts();
    await Promise.all(oids.map((each) => store.remove(each)));
    const counts: Readonly<Record<string, number>> = proxy.takeCounts();
    expect(counts['DeleteObjects']).toBeLessThan(oids.length);
    for (const each of oids) expect(await store.size(each)).toBeUndefined();
  });
});

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

test('an upload of many parts goes on in larger ones, however little each request brings', async () => {
  const sent = Array.from({ length: 600 }, (_, number) => ({ etag: `"${number}"`, sizeBytes: 5 * mebibyte }));
  const begun = { id: 'one', token: 'a' };
  const before = { epoch: 1, upload: begun, parts: sent, pieces: [], stale: [], isDoubtful: false };
  const few = await S3BlobStore.open({ ...bucket.settings, partBytes: 16 * mebibyte });
  let [progress, sizeBytes] = [JSON.stringify(before), 600 * 5 * mebibyte];
  const stands = () => {
    const { parts, pieces } = z
      .object({ parts: z.array(z.unknown()), pieces: z.array(z.unknown()) })
      .parse(JSON.parse(progress));
    return [parts.length, pieces.length];
  };
  for (let epoch = 2; epoch < 4; epoch++) {
    const writer = await few.append(oid, sizeBytes, { progress, epoch });
    await writer.write(randomBytes(7 * mebibyte));
    progress = await writer.close('more');
    sizeBytes += 7 * mebibyte;
    expect(stands()).toEqual([600, epoch - 1]);
  }
});

describe('a server that is asked to put an object only where there is none', () => {
  test.each([
    [501, 'NotImplemented'],
    [400, 'InvalidArgument'],
  ])('and refuses that with %i counts as one that cannot', async (status, code) => {
    proxy.inject = (request) => (request.headers.has('if-none-match') ? { do: 'answer', status, code } : undefined);
    const plain = await S3BlobStore.open({ ...bucket.settings, endpoint: proxy.endpoint });
    expect(plain.knowsConditions).toBe(false);
    upload = new Upload(plain, oid);
    const bytes = randomBytes(1000);
    await upload.append(bytes, 'perhaps-final');
    await upload.sync();
    await expectOnly(bytes);
  });

  test('and refuses whatever is put there is not used', async () => {
    proxy.inject = ({ method }) => (method === 'PUT' ? { do: 'answer', status: 403, code: 'AccessDenied' } : undefined);
    const opening = S3BlobStore.open({ ...bucket.settings, endpoint: proxy.endpoint });
    expect(await refusalOf(opening)).toBeInstanceOf(BlobStoreBusyError);
  });

  test('and is asked so by others at the same time is asked again', async () => {
    injectInto('PutObject', { do: 'answer', status: 409, code: 'ConditionalRequestConflict' }, 3);
    const bytes = randomBytes(1000);
    await upload.append(bytes, 'perhaps-final');
    await upload.sync();
    await expectOnly(bytes);
  });
});
