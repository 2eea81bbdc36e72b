import { afterEach, beforeEach, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf, freshBytes, imageOf, ociManifest } from '../http/content.ts';
import { freePort } from './free-port.ts';
import { ServerProcess } from './server-process.ts';

setDefaultTimeout(60_000);

const mib = 1024 * 1024;

let directory: string;
let starts: number;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'wherry-full-'));
  starts = 0;
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

/**
 * A registry on the test's data directory that may write no file larger than `largestFileKib`, in the shell's unit of
 * 1 KiB: what a full disk does, for one file. Its log has to fit, too.
 */
async function serve(largestFileKib: number | 'unlimited'): Promise<ServerProcess> {
  const port = freePort();
  const command = `exec "$0" src/main.ts serve --listen 127.0.0.1:${port} --data "$1"`;
  return await ServerProcess.start(port, join(directory, `log-${++starts}`), {
    command: [
      'bash',
      '-c',
      `trap '' XFSZ; ulimit -f ${largestFileKib}; ${command}`,
      process.execPath,
      join(directory, 'data'),
    ],
  });
}

async function push(server: ServerProcess, bytes: Uint8Array): Promise<Response> {
  return await fetch(`${server.origin}/v2/full/blobs/uploads/?digest=${digestOf(bytes)}`, {
    method: 'POST',
    body: bytes,
  });
}

async function expectBlob(server: ServerProcess, bytes: Uint8Array): Promise<void> {
  const pulled = await fetch(`${server.origin}/v2/full/blobs/${digestOf(bytes)}`);
  expect(digestOf(await pulled.bytes())).toBe(digestOf(bytes));
}

/** The sizes of all files that hold blobs or parts of blobs. */
async function objectSizes(): Promise<number[]> {
  const entries = await readdir(join(directory, 'data', 'objects'), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return await Promise.all(files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size));
}

test('a push that finds the disk full is refused with 507, gives its bytes back, and everything else goes on (R38)', async () => {
  await using server = await serve(8 * 1024);
  const uploads = `${server.origin}/v2/full/blobs/uploads/`;
  const small = freshBytes(mib);
  expect((await push(server, small)).status).toBe(201);

  const large = freshBytes(16 * mib);
  const session = new URL((await fetch(uploads, { method: 'POST' })).headers.get('location') ?? '', server.origin);
  const refused = await fetch(session, { method: 'PATCH', body: large });
  expect(refused.status).toBe(507);
  expect(await refused.json()).toMatchObject({ errors: [{ code: 'STORAGE_FULL', detail: { offset: 0 } }] });

  const status = await fetch(session);
  expect(status.status).toBe(204);
  expect(status.headers.get('range')).toBe('0-0');
  const again = freshBytes(2 * mib);
  const resumed = await fetch(`${session.href}?digest=${digestOf(again)}`, { method: 'PUT', body: again });
  expect(resumed.status).toBe(201);
  for (const blob of [small, again]) await expectBlob(server, blob);
  expect(await server.stop()).toBe(0);
});

test('a single POST that finds the disk full is refused with 507, and nothing of it stays', async () => {
  await using server = await serve(8 * 1024);
  const refused = await push(server, freshBytes(16 * mib));
  expect([refused.status, refused.headers.get('location')]).toEqual([507, null]);
  expect(await refused.json()).toMatchObject({ errors: [{ code: 'STORAGE_FULL' }] });
  expect(await (await fetch(`${server.origin}/metrics`)).text()).toContain('\nwherry_open_uploads 0\n');
  expect(await server.stop()).toBe(0);
  expect(await objectSizes()).toEqual([]);
});

test('a registry that starts on a full disk serves what it has, and refuses with 507 what needs room', async () => {
  const bytes = freshBytes();
  const manifest = JSON.stringify(imageOf(bytes));
  {
    await using server = await serve('unlimited');
    expect((await push(server, bytes)).status).toBe(201);
    const url = `${server.origin}/v2/full/manifests/latest`;
    expect((await fetch(url, { method: 'PUT', body: manifest, headers: { 'content-type': ociManifest } })).status).toBe(
      201,
    );
    expect(await server.stop()).toBe(0);
  }
  {
    // Not even for the memory in which processes find their way in the log, of 32 KiB.
    await using server = await serve(16);
    for (let round = 0; round < 2; round++) {
      const pulled = await fetch(`${server.origin}/v2/full/manifests/latest`);
      expect([pulled.status, await pulled.text()]).toEqual([200, manifest]);
      expect((await fetch(`${server.origin}/v2/full/manifests/latest`, { method: 'HEAD' })).status).toBe(200);
      await expectBlob(server, bytes);
      const refused = await push(server, freshBytes());
      expect(refused.status).toBe(507);
      expect(await refused.json()).toMatchObject({ errors: [{ code: 'STORAGE_FULL' }] });
    }
    expect(await server.stop()).toBe(0);
  }
  await using server = await serve('unlimited');
  expect((await fetch(`${server.origin}/v2/full/manifests/latest`)).status).toBe(200);
  expect((await push(server, freshBytes())).status).toBe(201);
});

test('wherever the room runs out for the database, a push that is refused leaves no bytes, and can go on later', async () => {
  const acknowledged = freshBytes();
  {
    await using server = await serve('unlimited');
    expect((await push(server, acknowledged)).status).toBe(201);
    expect(await server.stop()).toBe(0);
  }
  let refusedAtTheEnd = 0;
  // The log begins anew with each start: every time a little more of the push fits into it.
  for (let roomKib = 16; ; roomKib += 12) {
    expect(roomKib).toBeLessThan(400);
    const bytes = freshBytes(10_000 + roomKib);
    let session: string;
    {
      await using server = await serve(roomKib);
      const opened = await fetch(`${server.origin}/v2/full/blobs/uploads/`, { method: 'POST' });
      await expectBlob(server, acknowledged);
      if (opened.status === 507) continue;
      expect(opened.status).toBe(202);
      session = opened.headers.get('location') ?? '';
      const closed = await closeWith(server, session, bytes);
      if (closed.status === 201) break;
      expect([closed.status, closed.headers.get('location')]).toEqual([507, session]);
      expect(await objectSizes()).not.toContain(bytes.byteLength);
      const status = await fetch(new URL(session, server.origin));
      expect([status.status, status.headers.get('range')]).toEqual([204, '0-0']);
      refusedAtTheEnd++;
    }
    await using server = await serve('unlimited');
    expect((await closeWith(server, session, bytes)).status).toBe(201);
    await expectBlob(server, bytes);
    expect(await server.stop()).toBe(0);
  }
  expect(refusedAtTheEnd).toBeGreaterThan(0);
});

async function closeWith(server: ServerProcess, session: string, bytes: Uint8Array): Promise<Response> {
  return await fetch(new URL(`${session}?digest=${digestOf(bytes)}`, server.origin), { method: 'PUT', body: bytes });
}
