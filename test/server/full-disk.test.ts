import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, ServerProcess } from './server-process.ts';

const mib = 1024 * 1024;
/** The largest file that the server may write, in the shell's unit of 1 KiB: what a full disk does, for one file. */
const largestFileKib = 8 * 1024;

test('a push that finds the disk full is refused with 507, gives its bytes back, and everything else goes on', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'wherry-full-'));
  try {
    const port = await freePort();
    const serve = `exec "$0" src/main.ts serve --listen 127.0.0.1:${port} --data "$1"`;
    await using server = await ServerProcess.start(port, join(directory, 'log'), {
      command: [
        'bash',
        '-c',
        `trap '' XFSZ; ulimit -f ${largestFileKib}; ${serve}`,
        process.execPath,
        join(directory, 'data'),
      ],
    });
    const uploads = `${server.origin}/v2/full/blobs/uploads/`;
    const small = new Uint8Array(mib).fill(1);
    expect((await fetch(`${uploads}?digest=${digest(small)}`, { method: 'POST', body: small })).status).toBe(201);

    const large = new Uint8Array(16 * mib).fill(2);
    const session = new URL((await fetch(uploads, { method: 'POST' })).headers.get('location') ?? '', server.origin);
    const refused = await fetch(session, { method: 'PATCH', body: large });
    expect(refused.status).toBe(507);
    expect(await refused.json()).toMatchObject({ errors: [{ code: 'STORAGE_FULL', detail: { offset: 0 } }] });

    const status = await fetch(session);
    expect(status.status).toBe(204);
    expect(status.headers.get('range')).toBe('0-0');
    const again = new Uint8Array(2 * mib).fill(3);
    const resumed = await fetch(`${session.href}?digest=${digest(again)}`, { method: 'PUT', body: again });
    expect(resumed.status).toBe(201);
    for (const blob of [small, again]) {
      const pulled = await fetch(`${server.origin}/v2/full/blobs/${digest(blob)}`);
      expect(digest(await pulled.bytes())).toBe(digest(blob));
    }
    expect(await server.stop()).toBe(0);
  } finally {
    await rm(directory, { recursive: true });
  }
});

function digest(bytes: Uint8Array): string {
  return `sha256:${new Bun.CryptoHasher('sha256').update(bytes).digest('hex')}`;
}
