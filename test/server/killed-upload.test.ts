import { expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf, freshBytes } from '../http/content.ts';
import { forgetStoresBeside, storesBeside } from '../pairs/stores-beside.ts';
import { RawRequest } from './raw-request.ts';
import { freePort } from './free-port.ts';
import { ServerProcess } from './server-process.ts';
import { until } from './until.ts';

setDefaultTimeout(60_000);

const mebibyte = 1024 * 1024;

test('an upload killed with -9 in the middle of a chunk can be closed at once, with the bytes that were acknowledged', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'wherry-killed-'));
  const data = join(directory, 'data');
  try {
    const { environment, objects } = storesBeside(data);
    const port = freePort();
    const serve = async (): Promise<ServerProcess> =>
      await ServerProcess.start(port, join(directory, 'log'), {
        command: [process.execPath, 'src/main.ts', 'serve', '--listen', `127.0.0.1:${port}`, '--data', data],
        environment,
      });
    const bytes = freshBytes(mebibyte);
    let session: URL;
    {
      await using server = await serve();
      const opened = await fetch(`${server.origin}/v2/killed/blobs/uploads/`, { method: 'POST' });
      session = new URL(opened.headers.get('location') ?? '', server.origin);
      expect((await fetch(session, { method: 'PATCH', body: bytes })).status).toBe(202);
      const cut = await RawRequest.open(session.host, 'PATCH', session.pathname, {
        'content-length': String(24 * mebibyte),
      });
      // More than a part of a bucket's uploads.
      await cut.write(freshBytes(20 * mebibyte));
      await until('the chunk is being written', async () => (await objects.totalBytes()) > bytes.byteLength);
      await server.kill();
    }
    await using server = await serve();
    const status = await fetch(session);
    expect([status.status, status.headers.get('range')]).toEqual([204, `0-${bytes.byteLength - 1}`]);
    const closed = await fetch(`${session.href}?digest=${digestOf(bytes)}`, { method: 'PUT' });
    expect(`${closed.status} ${await closed.text()}`).toBe('201 ');
    const pulled = await fetch(`${server.origin}/v2/killed/blobs/${digestOf(bytes)}`);
    expect(digestOf(await pulled.bytes())).toBe(digestOf(bytes));
  } finally {
    forgetStoresBeside(data);
    await rm(directory, { recursive: true });
  }
});
