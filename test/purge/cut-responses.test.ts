import { expect, setDefaultTimeout, test } from 'bun:test';
import { connect } from 'node:net';
import { pushImage } from '../admin/pushed-images.ts';
import { freshBytes } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { until } from '../server/until.ts';

setDefaultTimeout(60_000);

const repo = 'team/app';
const mebibyte = 1024 * 1024;
/** More than the buffers between a server and a client that does not read. */
const blobBytes = 48 * mebibyte;

/** A client that asks for something, reads a little of it, and then nothing until it is told to. */
class SlowReader implements Disposable {
  readonly #socket;
  receivedBytes = 0;
  hasEnded = false;

  constructor(registry: ServedRegistry, path: string, headers: Readonly<Record<string, string>> = {}) {
    const lines = Object.entries({ host: registry.host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    this.#socket = connect(registry.port, '127.0.0.1', () => {
      this.#socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
    });
    this.#socket.on('data', (bytes: Buffer) => {
      this.receivedBytes += bytes.byteLength;
      if (!this.#readsAll) this.#socket.pause();
    });
    this.#socket.on('error', () => {
      this.hasEnded = true;
    });
    this.#socket.on('close', () => {
      this.hasEnded = true;
    });
  }

  #readsAll = false;

  readAll(): void {
    this.#readsAll = true;
    this.#socket.resume();
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

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
