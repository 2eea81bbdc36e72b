import { expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf, freshBytes } from '../http/content.ts';
import { RawRequest } from './raw-request.ts';
import { freePort } from './free-port.ts';
import { ServerProcess } from './server-process.ts';

setDefaultTimeout(60_000);

/** How many descriptors the server may have; it needs some twenty for itself. */
const descriptors = 64;
const clients = 32;

test('a registry that can open no more files says so with 503, and goes on when some are closed', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'wherry-files-'));
  try {
    const port = freePort();
    const serve = `exec "$0" src/main.ts serve --listen 127.0.0.1:${port} --data "$1"`;
    await using server = await ServerProcess.start(port, join(directory, 'log'), {
      command: ['bash', '-c', `ulimit -n ${descriptors}; ${serve}`, process.execPath, join(directory, 'data')],
    });
    const host = new URL(server.origin).host;
    const connections = await Promise.all(Array.from({ length: clients }, () => RawRequest.connect(host)));
    // Answered after all of them have been accepted.
    expect((await fetch(`${server.origin}/v2/`)).status).toBe(200);
    // Each wants a file now, and there are not enough left.
    const statuses = connections.map(async (connection) => {
      const digest = digestOf(freshBytes());
      await connection.write(
        `POST /v2/files/blobs/uploads/?digest=${digest} HTTP/1.1\r\nhost: ${host}\r\ncontent-length: 100\r\n\r\n`,
      );
      return await connection.status();
    });
    expect(await Promise.any(statuses.map(async (status) => await expect503(status)))).toBe(503);

    for (const connection of connections) connection.destroy();
    await Promise.allSettled(statuses);
    const bytes = freshBytes();
    const uploads = `${server.origin}/v2/files/blobs/uploads/`;
    expect((await fetch(`${uploads}?digest=${digestOf(bytes)}`, { method: 'POST', body: bytes })).status).toBe(201);
    expect(await server.stop()).toBe(0);
  } finally {
    await rm(directory, { recursive: true });
  }
});

async function expect503(status: Promise<number | undefined>): Promise<number> {
  const given = await status;
  if (given !== 503) throw new Error(`it was answered with ${given}`);
  return given;
}
