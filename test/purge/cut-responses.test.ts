import { expect, setDefaultTimeout, test } from 'bun:test';
import { pushImage } from '../admin/pushed-images.ts';
import { digestOf, freshBytes, imageOf } from '../http/content.ts';
import { ServedRegistry, type Settings } from '../http/served-registry.ts';
import { until } from '../server/until.ts';
import { pathOf } from '../tls/certificates/certificates.ts';
import { SlowReader } from './slow-reader.ts';

setDefaultTimeout(60_000);

const repo = 'team/app';
const mebibyte = 1024 * 1024;
/** More than the buffers between a server and a client that does not read. */
const blobBytes = 48 * mebibyte;

/** What is behind a front as well as what is not. */
const ways: readonly (readonly [string, Settings])[] = [
  ['plain HTTP', {}],
  ['TLS', { 'tls.certificate': pathOf('first.crt'), 'tls.key': pathOf('first.key') }],
  ['plain HTTP where connections are counted', { 'limits.connections': '100' }],
];

test.each(ways)(
  'a download over %s is broken off, and nothing more leaves the registry once the purge is acknowledged',
  async (_, settings) => {
    await using registry = await ServedRegistry.start(settings);
    const bytes = freshBytes(blobBytes);
    const secret = await registry.pushBlob(repo, bytes);
    const readers = Array.from({ length: 5 }, () => new SlowReader(registry, `/v2/${repo}/blobs/${secret}`));
    try {
      await until('each has got something', () => readers.every(({ receivedBytes }) => receivedBytes > 0));
      const purged = await registry.admin('POST', '/purge', { digests: [secret], reason: 'why' });
      expect(await purged.json()).toMatchObject({ isClean: true, responsesCut: readers.length });
      for (const reader of readers) reader.readAll();
      await until('each is told that it gets no more', () => readers.every(({ hasEnded }) => hasEnded));
      // What the system had taken to be sent is dropped, too.
      for (const { receivedBytes } of readers) expect(receivedBytes).toBeLessThan(mebibyte);
    } finally {
      for (const reader of readers) reader[Symbol.dispose]();
    }
  },
);

test.each(ways.slice(1))(
  'a download over %s that only waits for its client any more is broken off, too, and one that is over is not',
  async (_, settings) => {
    await using registry = await ServedRegistry.start(settings);
    // What the buffers between a front and a client hold, and the server behind takes for sent.
    const [secret, other] = [
      await registry.pushBlob(repo, freshBytes(4 * mebibyte)),
      await registry.pushBlob(repo, freshBytes(1000)),
    ];
    using waiting = new SlowReader(registry, `/v2/${repo}/blobs/${secret}`);
    using later = new SlowReader(registry, `/v2/${repo}/blobs/${secret}`);
    later.readAll();
    await until('one has got all', () => later.receivedBytes > 4 * mebibyte);
    const before = later.receivedBytes;
    later.ask(`/v2/${repo}/blobs/${other}`);
    await until('it has got something else', () => later.receivedBytes > before + 1000);
    await registry.admin('POST', '/purge', { digests: [secret], reason: 'why' });
    waiting.readAll();
    await until('the other is broken off', () => waiting.hasEnded);
    expect(waiting.receivedBytes).toBeLessThan(mebibyte);
    expect(later.hasEnded).toBe(false);
  },
);

test('a manifest over TLS that waits for its client is broken off, too', async () => {
  const [, [, settings] = ['', {}]] = ways;
  await using registry = await ServedRegistry.start(settings);
  const config = freshBytes();
  await registry.pushBlob(repo, config);
  const manifest = JSON.stringify({ ...imageOf(config), annotations: { padding: 'x'.repeat(3 * mebibyte) } });
  expect((await registry.putManifest(repo, 'v1', manifest)).status).toBe(201);
  using reader = new SlowReader(registry, `/v2/${repo}/manifests/v1`);
  await until('it has got something', () => reader.receivedBytes > 0);
  await registry.admin('POST', '/purge', { digests: [digestOf(manifest)], reason: 'why' });
  reader.readAll();
  await until('it is told that it gets no more', () => reader.hasEnded);
  expect(reader.receivedBytes).toBeLessThan(mebibyte);
});

test('a download of what has been collected meanwhile is broken off like any other', async () => {
  await using registry = await ServedRegistry.start({ 'windows.condemned': '0s' });
  const secret = await registry.pushBlob(repo, freshBytes(blobBytes));
  const path = `/v2/${repo}/blobs/${secret}`;
  using reader = new SlowReader(registry, path);
  await until('it has got something', () => reader.receivedBytes > 0);
  expect((await registry.send(path, { method: 'DELETE' })).status).toBe(202);
  await registry.collected();
  expect(await registry.objectFiles()).toEqual([]);
  expect(registry.rows('select oid from object')).toEqual([]);
  const purged = await registry.admin('POST', '/purge', { digests: [secret], reason: 'why' });
  expect(await purged.json()).toMatchObject({ isClean: true, responsesCut: 1, places: [] });
  reader.readAll();
  await until('it is told that it gets no more', () => reader.hasEnded, 120_000);
  expect(reader.receivedBytes).toBeLessThan(blobBytes / 2);
}, 180_000);

test.each([
  ['whole', {}],
  ['a part', { range: `bytes=10-${blobBytes - 10}` }],
])(
  'a download of %s is broken off by a purge: the client gets no end of it, and is not kept waiting',
  async (_, headers) => {
    await using registry = await ServedRegistry.start();
    const bytes = freshBytes(blobBytes);
    const secret = await registry.pushBlob(repo, bytes);
    await pushImage(registry, repo, { tags: ['v1'], layers: [bytes] });
    const readers = Array.from({ length: 5 }, () => new SlowReader(registry, `/v2/${repo}/blobs/${secret}`, headers));
    try {
      await until('each has got something', () => readers.every(({ receivedBytes }) => receivedBytes > 0));
      const purged = await registry.admin('POST', '/purge', { digests: [secret], reason: 'why' });
      expect(await purged.json()).toMatchObject({ isClean: true, responsesCut: readers.length });
      for (const reader of readers) reader.readAll();
      await until('each is told that it gets no more', () => readers.every(({ hasEnded }) => hasEnded));
      // What had left for the client before, in the buffers of the system.
      for (const { receivedBytes } of readers) expect(receivedBytes).toBeLessThan(blobBytes / 2);
    } finally {
      for (const reader of readers) reader[Symbol.dispose]();
    }
    expect((await registry.send(`/v2/${repo}/manifests/v1`)).status).toBe(403);
  },
);

test('a download of another blob goes on to its end', async () => {
  await using registry = await ServedRegistry.start();
  const [secret, other] = [
    await registry.pushBlob(repo, freshBytes()),
    await registry.pushBlob(repo, freshBytes(blobBytes)),
  ];
  using reader = new SlowReader(registry, `/v2/${repo}/blobs/${other}`, { connection: 'close' });
  await until('it has got something', () => reader.receivedBytes > 0);
  await registry.admin('POST', '/purge', { digests: [secret], reason: 'why' });
  reader.readAll();
  await until('it has got all', () => reader.receivedBytes > blobBytes);
});
