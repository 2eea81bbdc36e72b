import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { digestOf, freshBytes, imageOf } from '../http/content.ts';
import { ServedRegistry, type Settings } from '../http/served-registry.ts';
import { until } from '../server/until.ts';
import { InjectingProxy, operationOf } from './injecting-proxy.ts';
import type { TestBucket } from './s3-server.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';
import { startTestedS3 } from './tested-s3.ts';
import { PostgresTables } from '../pairs/tables.ts';

const storage = new StorageServers({ postgres: startPostgres, s3: startTestedS3 });

const mebibyte = 1024 * 1024;
const repo = 'team/app';

let bucket: TestBucket;
let proxy: InjectingProxy;
let settings: Settings;
let database: string;
let servers: readonly [ServedRegistry, ServedRegistry];

beforeEach(async () => {
  bucket = await storage.s3.newBucket();
  proxy = new InjectingProxy(storage.s3.endpoint);
  database = await storage.postgres.newDatabase();
  settings = {
    metadata: database,
    blobs: `s3://${bucket.name}`,
    's3.endpoint': proxy.endpoint,
    's3.redirect': 'off',
    's3.lateWrites': '0',
    'windows.condemned': '0',
    'windows.lease': '1h',
  };
  servers = [await ServedRegistry.start(settings), await ServedRegistry.start(settings)];
  proxy.takeCounts();
});

afterEach(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]();
  await proxy[Symbol.asyncDispose]();
});

async function open(server: ServedRegistry): Promise<string> {
  const answer = await server.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
  expect(answer.status).toBe(202);
  return answer.headers.get('location') ?? '';
}

async function patch(server: ServedRegistry, session: string, body: Uint8Array, first?: number): Promise<string> {
  const range = first === undefined ? {} : { 'content-range': `${first}-${first + body.byteLength - 1}` };
  const answer = await server.send(session, { method: 'PATCH', body, headers: range });
  return `${answer.status} ${answer.headers.get('range')}`;
}

async function close(server: ServedRegistry, session: string, digest: string): Promise<number> {
  return (await server.send(`${session}?digest=${digest}`, { method: 'PUT' })).status;
}

async function pulled(server: ServedRegistry, digest: string): Promise<string> {
  const answer = await server.send(`/v2/${repo}/blobs/${digest}`);
  return answer.status === 200 ? digestOf(await answer.bytes()) : `${answer.status} ${await answer.text()}`;
}

/** The names of what holds blobs. */
async function objects(): Promise<readonly string[]> {
  return (await bucket.keys()).filter((key) => key.startsWith('objects/'));
}

describe('two servers of one registry', () => {
  test.each([
    ['small', [10, 1, 5, 100_000]],
    ['large and small', [14 * mebibyte, 10, 3 * mebibyte, 9 * mebibyte, 1, 1]],
  ])('take the chunks of an upload in turn (%s)', async (_, sizes) => {
    const chunks = sizes.map((size) => freshBytes(size));
    const digest = digestOf(Buffer.concat(chunks));
    const session = await open(servers[0]);
    let offset = 0;
    for (const [index, chunk] of chunks.entries()) {
      const server = index % 2 === 0 ? servers[1] : servers[0];
      expect(await patch(server, session, chunk, offset)).toBe(`202 0-${offset + chunk.byteLength - 1}`);
      offset += chunk.byteLength;
    }
    expect(await close(servers[1], session, digest)).toBe(201);
    for (const server of servers) expect(await pulled(server, digest)).toBe(digest);
    expect(await objects()).toHaveLength(1);
    expect(await bucket.uploads()).toEqual([]);
  });

  test('publish and remove a whole image', async () => {
    const blobs = [freshBytes(300), freshBytes(20 * mebibyte)] as const;
    for (const [index, bytes] of blobs.entries()) {
      const session = await open(servers[0]);
      await patch(servers[index === 0 ? 0 : 1], session, bytes);
      expect(await close(servers[0], session, digestOf(bytes))).toBe(201);
    }
    const manifest = JSON.stringify(imageOf(...blobs));
    expect((await servers[1].putManifest(repo, 'latest', manifest)).status).toBe(201);
    const deleted = await servers[0].send(`/v2/${repo}/manifests/${digestOf(manifest)}`, { method: 'DELETE' });
    expect(deleted.status).toBe(202);
    for (const server of servers) server.clock.advance(30 * 86_400_000);
    await servers[1].collected();
    expect(await objects()).toEqual([]);
  });

  test('purge a blob for both', async () => {
    const bytes = freshBytes(1000);
    const session = await open(servers[0]);
    await patch(servers[0], session, bytes);
    await close(servers[0], session, digestOf(bytes));
    const purged = await servers[1].admin('POST', '/purge', { digests: [digestOf(bytes)], reason: 'a secret' });
    expect(purged.status).toBe(200);
    expect(await pulled(servers[0], digestOf(bytes))).toStartWith('403');
    expect(await objects()).toEqual([]);
  });

  test('drop what has another digest, and leave no upload', async () => {
    const session = await open(servers[0]);
    await patch(servers[0], session, freshBytes(20 * mebibyte));
    expect(await close(servers[1], session, digestOf('something else'))).toBe(400);
    await servers[1].stop();
    await servers[1].resume(settings);
    await servers[0].collected();
    expect(await objects()).toEqual([]);
    expect(await bucket.uploads()).toEqual([]);
  });

  test('leave nothing of a chunk that ends at one after the upload was cancelled at the other', async () => {
    const session = await open(servers[0]);
    const going = Promise.withResolvers<undefined>();
    const body = new ReadableStream<Uint8Array>({
      async start(controller) {
        controller.enqueue(freshBytes(1000));
        await going.promise;
        controller.close();
      },
    });
    const overtaken = servers[0].send(session, { method: 'PATCH', body });
    await until('it is at work', () =>
      PostgresTables.at(database)
        .rows<{ epoch: number }>('select epoch from upload')
        .some(({ epoch }) => epoch === 1),
    );
    expect((await servers[1].send(session, { method: 'DELETE' })).status).toBe(204);
    await until('its row is gone', () => PostgresTables.at(database).rows('select oid from object').length === 0);
    going.resolve(undefined);
    expect((await overtaken).status).toBe(416);
    expect(await objects()).toEqual([]);
    expect(await bucket.uploads()).toEqual([]);
  });

  /** Lets the bucket take long to complete the first upload that is to be. */
  function holdCompletion() {
    const going = Promise.withResolvers<undefined>();
    const reached = Promise.withResolvers<undefined>();
    let isFirst = true;
    proxy.inject = (request) => {
      if (!isFirst || operationOf(request) !== 'CompleteMultipartUpload') return undefined;
      isFirst = false;
      reached.resolve(undefined);
      return { do: 'hold', until: going.promise };
    };
    return { reached: reached.promise, letGo: () => going.resolve(undefined) };
  }

  test('do not disturb each other where a closing PUT is repeated while the first is at work (R30)', async () => {
    const bytes = freshBytes(20 * mebibyte);
    const session = await open(servers[0]);
    await patch(servers[0], session, bytes);
    const { reached, letGo } = holdCompletion();
    const closing = close(servers[0], session, digestOf(bytes));
    await reached;
    const repeated = await servers[1].send(`${session}?digest=${digestOf(bytes)}`, { method: 'PUT' });
    expect([repeated.status, repeated.headers.get('retry-after')]).toEqual([503, '1']);
    letGo();
    expect(await closing).toBe(201);
    expect(await close(servers[1], session, digestOf(bytes))).toBe(201);
    expect(await pulled(servers[1], digestOf(bytes))).toBe(digestOf(bytes));
  }, 60_000);

  test('close what the other has begun to close and was not seen to go on with', async () => {
    const bytes = freshBytes(20 * mebibyte);
    const session = await open(servers[0]);
    await patch(servers[0], session, bytes);
    const { reached, letGo } = holdCompletion();
    const closing = close(servers[0], session, digestOf(bytes));
    await reached;
    servers[1].clock.advance(600_000);
    expect(await close(servers[1], session, digestOf(bytes))).toBe(201);
    letGo();
    expect([201, 416]).toContain(await closing);
    expect(await pulled(servers[1], digestOf(bytes))).toBe(digestOf(bytes));
  }, 60_000);

  test('answer 503 while the bucket does not, and go on afterwards where they were', async () => {
    const bytes = freshBytes(14 * mebibyte);
    const session = await open(servers[0]);
    await patch(servers[0], session, bytes.subarray(0, mebibyte), 0);
    proxy.inject = () => ({ do: 'answer', status: 503, code: 'SlowDown' });
    const refused = await servers[0].send(session, { method: 'PATCH', body: bytes.subarray(mebibyte) });
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
    expect((await servers[0].send('/readyz')).status).toBe(503);
    proxy.inject = () => undefined;
    expect(await patch(servers[1], session, bytes.subarray(mebibyte), mebibyte)).toBe(`202 0-${bytes.byteLength - 1}`);
    expect(await close(servers[0], session, digestOf(bytes))).toBe(201);
    expect(await pulled(servers[1], digestOf(bytes))).toBe(digestOf(bytes));
    expect(await bucket.uploads()).toEqual([]);
  }, 120_000);

  test('publish a blob once though the answer to its completion was lost', async () => {
    const bytes = freshBytes(20 * mebibyte);
    const session = await open(servers[0]);
    await patch(servers[0], session, bytes);
    proxy.inject = (request) =>
      operationOf(request) === 'CompleteMultipartUpload'
        ? { do: 'lose-answer', status: 500, code: 'InternalError' }
        : undefined;
    expect(await close(servers[0], session, digestOf(bytes))).toBe(503);
    proxy.inject = () => undefined;
    expect(await close(servers[1], session, digestOf(bytes))).toBe(201);
    expect(await pulled(servers[0], digestOf(bytes))).toBe(digestOf(bytes));
  }, 60_000);
});

test('a pull of a blob that the bucket has lost is a clear no, and pushing it again repairs it', async () => {
  const bytes = freshBytes(1000);
  const digest = digestOf(bytes);
  await servers[0].pushBlob(repo, bytes);
  proxy.inject = (request) =>
    operationOf(request) === 'GetObject' || operationOf(request) === 'HeadObject'
      ? { do: 'answer', status: 404, code: 'NoSuchKey' }
      : undefined;
  expect((await servers[0].send(`/v2/${repo}/blobs/${digest}`)).status).toBe(404);
  expect((await servers[0].send(`/v2/${repo}/blobs/${digest}`, { method: 'HEAD' })).status).toBe(404);
  expect(await servers[0].pushBlob(repo, bytes)).toBe(digest);
  proxy.inject = () => undefined;
  await servers[0].collected();
  expect(await pulled(servers[1], digest)).toBe(digest);
});

test('an upload whose bytes the bucket takes long to take is not ended by another process', async () => {
  for (const server of servers) {
    await server.stop();
    await server.resume({ ...settings, 'windows.upload': '400ms' });
  }
  const { promise, resolve: letGo } = Promise.withResolvers<undefined>();
  const reached = Promise.withResolvers<undefined>();
  proxy.inject = (request) => {
    if (operationOf(request) !== 'PutObject') return undefined;
    reached.resolve(undefined);
    return { do: 'hold', until: promise };
  };
  const bytes = freshBytes(1000);
  const pushing = servers[0].pushBlob(repo, bytes);
  await reached.promise;
  for (const server of servers) server.clock.advance(3_600_000);
  await until('it is seen that it goes on', () => {
    const now = servers[1].clock.now();
    return PostgresTables.at(database)
      .rows<{ at: number }>('select touched_at as at from upload')
      .every(({ at }) => at >= now);
  });
  await servers[1].collected();
  letGo(undefined);
  expect(await pushing).toBe(digestOf(bytes));
});

describe('pulls', () => {
  test('are sent to a URL that gives the blob, or a part of it; a question for its size is not', async () => {
    await servers[0].stop();
    await servers[0].resume({ ...settings, 's3.redirect': 'on', 'windows.condemned': '10m' });
    const bytes = freshBytes(1000);
    const path = `/v2/${repo}/blobs/${await servers[0].pushBlob(repo, bytes)}`;
    proxy.takeCounts();
    const answer = await servers[0].send(path, { redirect: 'manual' });
    const url = answer.headers.get('location') ?? '';
    expect([answer.status, answer.headers.get('docker-content-digest')]).toEqual([307, digestOf(bytes)]);
    expect(proxy.takeCounts()).toEqual({});
    expect(new URL(url).searchParams.get('X-Amz-Expires')).toBe('600');

    const given = await fetch(url);
    expect(await given.bytes()).toEqual(bytes);
    expect(given.headers.get('content-disposition')).toBe('attachment');
    const part = await servers[0].send(path, { headers: { range: 'bytes=10-19' } });
    expect([part.status, await part.bytes()]).toEqual([206, bytes.subarray(10, 20)]);
    const head = await servers[0].send(path, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '1000']);
  });
});

describe('pulls that are sent to the bucket', () => {
  async function statuses(others: Settings): Promise<readonly number[]> {
    await servers[0].stop();
    await servers[0].resume({ ...settings, 's3.redirect': 'on', 'windows.condemned': '10m', ...others });
    const answers = ['public/app', 'team/app'].map(async (name) => {
      const digest = await servers[0].pushBlob(name, freshBytes(1000));
      return (await servers[0].send(`/v2/${name}/blobs/${digest}`, { redirect: 'manual' })).status;
    });
    return await Promise.all(answers);
  }

  test('are those from the repositories that are named', async () => {
    expect(await statuses({})).toEqual([307, 307]);
    expect(await statuses({ 's3.redirectRepositories': 'base, public/**' })).toEqual([307, 200]);
  });

  test('are those of clients in the networks that are named', async () => {
    expect(await statuses({ 's3.redirectNetworks': '127.0.0.0/8' })).toEqual([307, 307]);
    expect(await statuses({ 's3.redirectNetworks': '10.0.0.0/8, 192.0.2.1' })).toEqual([200, 200]);
  });

  test('get URLs of where clients reach the bucket', async () => {
    await servers[0].stop();
    const elsewhere = { 's3.redirect': 'on', 'windows.condemned': '10m', 's3.redirectEndpoint': storage.s3.endpoint };
    await servers[0].resume({ ...settings, ...elsewhere });
    const bytes = freshBytes(1000);
    const path = `/v2/${repo}/blobs/${await servers[0].pushBlob(repo, bytes)}`;
    const url = (await servers[0].send(path, { redirect: 'manual' })).headers.get('location') ?? '';
    expect(new URL(url).origin).toBe(storage.s3.endpoint);
    expect(await (await fetch(url)).bytes()).toEqual(bytes);
  });
});

test('a push writes each byte once, and asks the bucket for as little as there is to ask', async () => {
  const small = freshBytes(1000);
  await servers[0].pushBlob(repo, small);
  expect(proxy.writtenBytes).toBe(1000);
  expect(proxy.takeCounts()).toEqual({ PutObject: 1 });

  const large = freshBytes(50 * mebibyte);
  const session = await open(servers[0]);
  await patch(servers[0], session, large);
  await close(servers[0], session, digestOf(large));
  expect(proxy.writtenBytes).toBe(large.byteLength);
  expect(proxy.takeCounts()).toEqual({ CreateMultipartUpload: 1, UploadPart: 6, CompleteMultipartUpload: 1 });

  await pulled(servers[0], digestOf(large));
  expect(proxy.takeCounts()).toEqual({ GetObject: 1 });
});
