import { afterEach, beforeEach, expect, test } from 'bun:test';
import { z } from 'zod';
import { digestOf, freshBytes } from '../http/content.ts';
import { ServedRegistry, type Settings } from '../http/served-registry.ts';
import { InjectingProxy, operationOf } from './injecting-proxy.ts';
import { startMinio, type TestBucket } from './minio-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ s3: startMinio });

const mebibyte = 1024 * 1024;
const minuteMs = 60_000;
const repo = 'team/app';

let bucket: TestBucket;
let proxy: InjectingProxy;
let settings: Settings;
let registry: ServedRegistry;
/** What the proxy keeps back until `deliver`. */
let held: PromiseWithResolvers<void>;

beforeEach(async () => {
  bucket = await storage.s3.newBucket();
  proxy = new InjectingProxy(storage.s3.endpoint);
  held = Promise.withResolvers();
  settings = {
    blobs: `s3://${bucket.name}`,
    's3.endpoint': proxy.endpoint,
    's3.lateWrites': '20m',
    'windows.condemned': '0',
    'windows.lease': '0',
    'windows.upload': '1h',
  };
  registry = await ServedRegistry.start(settings);
});

afterEach(async () => {
  held.resolve();
  await registry[Symbol.asyncDispose]();
  await proxy[Symbol.asyncDispose]();
});

/** Keeps back the first so many requests of an operation; who has sent them hears of an error. */
function keepBack(operation: string, count = Infinity): void {
  let left = count;
  proxy.inject = (request) => {
    if (operationOf(request) !== operation || !request.key.startsWith('objects/') || left === 0) return undefined;
    left--;
    return { do: 'deliver-late', status: 503, code: 'SlowDown', until: held.promise };
  };
}

/** Lets go what was kept back. @returns what the server has answered */
async function deliver(): Promise<readonly number[]> {
  proxy.inject = () => undefined;
  held.resolve();
  return await Promise.all(proxy.lateAnswers);
}

async function push(bytes: Uint8Array): Promise<number> {
  const path = `/v2/${repo}/blobs/uploads/?digest=${digestOf(bytes)}`;
  return (await registry.send(path, { method: 'POST', body: bytes })).status;
}

/** What is in the bucket, unfinished uploads included. */
async function objects(): Promise<readonly string[]> {
  return [...(await bucket.keys()).filter((key) => key.startsWith('objects/')), ...(await bucket.uploads())];
}

function rows(): readonly string[] {
  return [
    ...registry.rows<{ readonly state: string }>('select state from object').map(({ state }) => `object ${state}`),
    ...registry.rows<{ readonly kind: string }>('select kind from task').map(({ kind }) => `task ${kind}`),
  ];
}

async function expectNothingIsLeft(): Promise<void> {
  expect(await objects()).toEqual([]);
  expect(rows()).toEqual([]);
}

const large = 20 * mebibyte;

test.each([
  ['PutObject', 100_000, 'comes back'],
  ['CreateMultipartUpload', large, 'comes back'],
  ['UploadPart', large, 'finds nothing'],
  ['CompleteMultipartUpload', large, 'finds nothing'],
] as const)(
  'a %s of %i bytes that arrives when its object has been removed leaves nothing in the end',
  async (operation, sizeBytes, what) => {
    keepBack(operation);
    expect(await push(freshBytes(sizeBytes))).toBe(503);
    registry.clock.advance(61 * minuteMs);
    await registry.collected();
    expect(await objects()).toEqual([]);
    expect(rows()).toEqual(['object dead', 'task object']);

    expect(await deliver()).toContain(what === 'comes back' ? 200 : 404);
    if (what === 'comes back') expect(await objects()).not.toEqual([]);
    registry.clock.advance(19 * minuteMs);
    await registry.collected();
    expect(rows()).toEqual(['object dead', 'task object']);
    registry.clock.advance(minuteMs);
    await registry.collected();
    await expectNothingIsLeft();
  },
  120_000,
);

test('nor does an earlier try of a write that was made, when what it made has been collected', async () => {
  keepBack('PutObject', 1);
  const bytes = freshBytes(1000);
  expect(await push(bytes)).toBe(201);
  registry.clock.advance(1);
  await registry.collected();
  expect(await objects()).toEqual([]);
  expect(await deliver()).toEqual([200]);
  expect(await objects()).toHaveLength(1);
  registry.clock.advance(61 * minuteMs);
  await registry.collected();
  await expectNothingIsLeft();
}, 60_000);

test('nor when what it made has been purged, and the record says what may still come', async () => {
  const record = z.object({ id: z.number(), isClean: z.boolean(), unreached: z.array(z.string()) });
  keepBack('PutObject', 1);
  await registry.stop();
  await registry.resume({ ...settings, 'windows.lease': '1h' });
  const bytes = freshBytes(1000);
  expect(await push(bytes)).toBe(201);
  const purge = async () => {
    const answer = await registry.admin('POST', '/purge', { digests: [digestOf(bytes)], reason: 'a secret' });
    expect(answer.status).toBe(200);
    return record.parse(await answer.json());
  };
  const purged = await purge();
  expect(purged.isClean).toBe(true);
  expect(purged.unreached.join()).toContain('s3.lateWrites');
  expect(await objects()).toEqual([]);
  expect(await deliver()).toEqual([200]);
  expect(await objects()).toHaveLength(1);
  // Whoever is in a hurry purges it again.
  expect((await purge()).isClean).toBe(true);
  expect(await objects()).toEqual([]);
  registry.clock.advance(61 * minuteMs);
  await registry.collected();
  await expectNothingIsLeft();
}, 60_000);

test('what was removed and is waited for is not removed again by a start, nor told of as bytes', async () => {
  keepBack('PutObject');
  expect(await push(freshBytes(1000))).toBe(503);
  proxy.inject = () => undefined;
  registry.clock.advance(61 * minuteMs);
  await registry.collected();
  await registry.stop();
  proxy.takeCounts();
  await registry.resume(settings);
  await registry.collected();
  expect(proxy.takeCounts()['DeleteObjects'] ?? 0).toBe(0);
  expect(rows()).toEqual(['object dead', 'task object']);
  const [figures] = registry.rows<{ bytes: number }>(`select sum(size_bytes) as bytes from object`);
  expect(figures).toEqual({ bytes: 0 });
}, 60_000);
