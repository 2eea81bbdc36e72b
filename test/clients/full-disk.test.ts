import { afterEach, beforeEach, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf, freshBytes, imageOf, ociManifest } from '../http/content.ts';
import { freePort } from '../server/free-port.ts';
import { ServerProcess } from '../server/server-process.ts';
import { until } from '../server/until.ts';
import { SmallDisk } from './small-disk.ts';

setDefaultTimeout(60_000);

const mebibyte = 1024 * 1024;
const pageBytes = 4096;
const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');
const config = freshBytes();
const image = JSON.stringify(imageOf(config));

let logs: string;

beforeEach(() => {
  logs = mkdtempSync(join(tmpdir(), 'wherry-full-disk-'));
});

afterEach(() => {
  rmSync(logs, { recursive: true });
});

/** A registry whose data is on the disk. */
class Registry implements AsyncDisposable {
  readonly #server: ServerProcess;

  private constructor(server: ServerProcess) {
    this.#server = server;
  }

  static async start(disk: SmallDisk): Promise<Registry> {
    const port = freePort();
    // Without bounds: what is to be seen here is a disk that gets full all the same.
    const unbounded = ['--storage-high', 'off', '--storage-reserve', '0B'];
    const serve = ['serve', '--listen', `127.0.0.1:${port}`, '--data', join(disk.directory, 'data'), ...unbounded];
    const [entering, ...rest] = disk.entering;
    const command = [entering, ...rest, process.execPath, main, ...serve] as const;
    return new Registry(await ServerProcess.start(port, join(logs, `${port}`), { command }));
  }

  async send(method: string, path: string, body?: Uint8Array | string): Promise<Response> {
    const headers: Record<string, string> = typeof body === 'string' ? { 'content-type': ociManifest } : {};
    return await fetch(new URL(path, this.#server.origin), { method, body: body ?? null, headers });
  }

  async status(method: string, path: string, body?: Uint8Array | string): Promise<number> {
    const answer = await this.send(method, path, body);
    await answer.arrayBuffer();
    return answer.status;
  }

  /** Pushes a blob in a single request. @returns the answer's status */
  async push(bytes: Uint8Array): Promise<number> {
    return await this.status('POST', `/v2/full/blobs/uploads/?digest=${digestOf(bytes)}`, bytes);
  }

  async openSession(): Promise<string> {
    const opened = await this.send('POST', '/v2/full/blobs/uploads/');
    expect(opened.status).toBe(202);
    return opened.headers.get('location') ?? '';
  }

  /** Pushes what is there before the disk is filled. */
  async pushImage(): Promise<void> {
    expect(await this.push(config)).toBe(201);
    for (const tag of ['one', 'two']) expect(await this.status('PUT', `/v2/full/manifests/${tag}`, image)).toBe(201);
  }

  async expectPulls(): Promise<void> {
    expect(await this.status('HEAD', '/v2/full/manifests/two')).toBe(200);
    expect(await (await this.send('GET', '/v2/full/manifests/two')).text()).toBe(image);
    expect(await this.status('HEAD', `/v2/full/blobs/${digestOf(config)}`)).toBe(200);
    const pulled = await this.send('GET', `/v2/full/blobs/${digestOf(config)}`);
    expect(digestOf(await pulled.bytes())).toBe(digestOf(config));
  }

  async stop(): Promise<void> {
    expect(await this.#server.stop()).toBe(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }
}

/** Waits until the registry has taken its reserve of 8 MiB, which it does on the side. */
async function reserveIsMade(disk: SmallDisk): Promise<void> {
  const reserve = disk.path('data/reserve');
  await until('room is kept in reserve', () => statSync(reserve, { throwIfNoEntry: false })?.size === 8 * mebibyte);
}

/** Keeps the log from beginning anew: from here on each commit makes it longer, and needs room. */
async function readLastingly(disk: SmallDisk): Promise<Disposable> {
  const script = `
    const { Database } = await import('bun:sqlite');
    const database = new Database(process.argv[1], { readonly: true });
    database.run('begin');
    console.log(database.query('select count(*) from sqlite_schema').values());
    // What nothing refers to any more is closed.
    setInterval(() => database.inTransaction, 60_000);`;
  const path = join(disk.directory, 'data', 'wherry.db');
  const [entering, ...rest] = disk.entering;
  const reader = Bun.spawn([entering, ...rest, process.execPath, '-e', script, path], { stdout: 'pipe' });
  for await (const _ of reader.stdout) return { [Symbol.dispose]: () => reader.kill('SIGKILL') };
  throw new Error('the database could not be read');
}

interface Closing {
  readonly status: number;
  /** Brought before the closing request. */
  readonly begun: Uint8Array;
  readonly session: string;
  readonly restBytes: number;
}

/** Closes an upload with as many bytes as the disk has left, but for some pages. */
async function closeLeaving(pages: number, registry: Registry, disk: SmallDisk): Promise<Closing> {
  const session = await registry.openSession();
  const begun = freshBytes(1000);
  expect(await registry.status('PATCH', session, begun)).toBe(202);
  const rest = freshBytes(disk.freeBytes - pages * pageBytes);
  const digest = digestOf(Buffer.concat([begun, rest]));
  const status = await registry.status('PUT', `${session}?digest=${digest}`, rest);
  return { status, begun, session, restBytes: rest.byteLength };
}

test('a blob that leaves no room for its commit gives its own room back, and the upload goes on or is cancelled', async () => {
  await using disk = await SmallDisk.make({ mebibytes: 32, files: 1000 });
  await using registry = await Registry.start(disk);
  await registry.pushImage();
  await reserveIsMade(disk);
  using _lasting = await readLastingly(disk);
  let refused = 0;
  for (let leftPages = 0; ; leftPages++) {
    expect(leftPages).toBeLessThan(100);
    const isReserved = existsSync(disk.path('data/reserve'));
    let closing = await closeLeaving(leftPages, registry, disk);
    // Once, something else of the registry may meet the full disk first, and give the reserve up for it.
    const isGivenUp = isReserved && !existsSync(disk.path('data/reserve'));
    if (closing.status === 201 && isGivenUp) closing = await closeLeaving(leftPages, registry, disk);
    const { status, begun, session, restBytes } = closing;
    if (status === 201) break;
    expect(status).toBe(507);
    refused++;
    // What the log has may be moved into the database meanwhile, whose file grows by it.
    const logBytes = statSync(disk.path('data/wherry.db-wal')).size;
    expect(disk.freeBytes).toBeGreaterThan(restBytes - logBytes - 32 * pageBytes);
    const offset = await registry.send('GET', session);
    expect([offset.status, offset.headers.get('range')]).toEqual([204, '0-999']);
    if (leftPages % 2 === 0) expect(await registry.status('DELETE', session)).toBe(204);
    else expect(await registry.status('PUT', `${session}?digest=${digestOf(begun)}`)).toBe(201);
  }
  expect(refused).toBeGreaterThan(1);
  await registry.expectPulls();
  await registry.stop();
});

test('on a disk that others have filled, pushes are refused, pulls go on, and what makes room succeeds', async () => {
  await using disk = await SmallDisk.make({ mebibytes: 32, files: 1000 });
  await using registry = await Registry.start(disk);
  await registry.pushImage();
  await reserveIsMade(disk);
  const sessions = [await registry.openSession(), await registry.openSession()];
  for (const session of sessions) expect(await registry.status('PATCH', session, freshBytes(2 * mebibyte))).toBe(202);

  disk.fill();
  expect(await registry.push(freshBytes())).toBe(507);
  await registry.expectPulls();
  for (const session of sessions) expect(await registry.status('DELETE', session)).toBe(204);
  await until('their room is given back', () => disk.freeBytes >= 4 * mebibyte - 64 * pageBytes);
  // Until then the reserve has not been touched.
  expect(existsSync(disk.path('data/reserve'))).toBe(true);

  disk.fill();
  let pushed: number;
  do {
    // Fills up what the log has left of its own.
    pushed = await registry.status('PUT', `/v2/full/manifests/${digestOf(freshBytes()).slice(7, 30)}`, image);
  } while (pushed === 201);
  expect(pushed).toBe(507);
  expect(await registry.status('DELETE', '/v2/full/manifests/one')).toBe(202);
  expect(await registry.status('GET', '/v2/full/manifests/one')).toBe(404);
  await registry.expectPulls();
  await registry.stop();
});

test('a registry starts on a full disk, serves what it has, and takes pushes once there is room', async () => {
  await using disk = await SmallDisk.make({ mebibytes: 32, files: 1000 });
  {
    await using registry = await Registry.start(disk);
    await registry.pushImage();
    await reserveIsMade(disk);
    await registry.stop();
  }
  // With the reserve, and then without it.
  for (const isReserved of [true, false]) {
    disk.fill();
    expect(existsSync(disk.path('data/reserve'))).toBe(isReserved);
    await using registry = await Registry.start(disk);
    disk.fill();
    expect(existsSync(disk.path('data/reserve'))).toBe(false);
    await registry.expectPulls();
    expect(await registry.push(freshBytes())).toBe(507);
    await registry.stop();
  }
  disk.fill();
  await using registry = await Registry.start(disk);
  disk.empty();
  expect(await registry.push(freshBytes())).toBe(201);
  await registry.stop();
});

test('a disk that has no room for another file is full, too', async () => {
  await using disk = await SmallDisk.make({ mebibytes: 32, files: 400 });
  await using registry = await Registry.start(disk);
  await registry.pushImage();
  await reserveIsMade(disk);
  const begun = await registry.openSession();
  const bytes = freshBytes();
  expect(await registry.status('PATCH', begun, bytes.slice(0, 50))).toBe(202);

  disk.fillWithFiles();
  const session = await registry.openSession();
  expect(await registry.status('PATCH', session, freshBytes())).toBe(507);
  expect(await registry.push(freshBytes())).toBe(507);
  await registry.expectPulls();
  expect(await registry.status('DELETE', session)).toBe(204);
  expect(await registry.status('PUT', `${begun}?digest=${digestOf(bytes)}`, bytes.slice(50))).toBe(201);
  await registry.stop();
});
