import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import { outputOf } from '../install/command.ts';
import { freePort } from '../server/free-port.ts';
import { ServerProcess } from '../server/server-process.ts';
import { until } from '../server/until.ts';

const projectDirectory = path.join(import.meta.dir, '..', '..');
const buildWithinMs = 120_000;
const serveWithinMs = 60_000;

let directory = '';
let executable = '';

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'wherry-build-'));
  executable = path.join(directory, 'wherry');
  await outputOf(['node', path.join(projectDirectory, 'scripts', 'build.mjs'), executable]);
}, buildWithinMs);

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

test('the single executable knows its version without the files of the project', async () => {
  expect(await outputOf([executable, '--version'])).toContain(packageJson.version);
});

test(
  'the single executable serves, keeps a pushed blob across a restart and ends cleanly on SIGTERM',
  async () => {
    const blob = crypto.getRandomValues(new Uint8Array(50_000));
    const digest = `sha256:${new Bun.CryptoHasher('sha256').update(blob).digest('hex')}`;
    {
      await using server = await startServer();
      expect(await statusOf(`${server.origin}/v2/`)).toBe(200);
      const pushed = await fetch(`${server.origin}/v2/team/app/blobs/uploads/?digest=${digest}`, {
        method: 'POST',
        headers: { 'content-type': 'application/octet-stream' },
        body: blob,
      });
      expect(pushed.status).toBe(201);
      expect(await server.stop()).toBe(0);
    }
    await using server = await startServer();
    const pulled = await fetch(`${server.origin}/v2/team/app/blobs/${digest}`);
    expect(pulled.status).toBe(200);
    expect(await pulled.bytes()).toEqual(blob);
    // The server has the same executable look in a process of its own.
    const checked = await outputOf([executable, 'fsck', '--rehash', '--data', path.join(directory, 'data')]);
    expect(checked).toBe('nothing is wrong\n');
    expect(await server.stop()).toBe(0);
  },
  serveWithinMs,
);

test(
  'the single executable has the thread that moves the log into the database',
  async () => {
    await using server = await startServer();
    const upload = (bytes: Uint8Array<ArrayBuffer>) => ({ method: 'PUT', body: bytes });
    const put = async (tag: string, paddingBytes: number): Promise<void> => {
      const annotations = { padding: 'x'.repeat(paddingBytes) };
      const index = {
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.index.v1+json',
        manifests: [],
        annotations,
      };
      const body = new TextEncoder().encode(JSON.stringify(index));
      const headers = { 'content-type': index.mediaType };
      const answer = await fetch(`${server.origin}/v2/team/app/manifests/${tag}`, { ...upload(body), headers });
      expect(answer.status).toBe(201);
    };
    const database = Bun.file(path.join(directory, 'data', 'wherry.db'));
    const before = database.size;
    // Manifests are in the database; large ones make the log long.
    for (let count = 0; count < 6; count++) await put(`large-${count}`, 4_000_000 + count);
    for (let count = 0; count < 64; count++) await put(`small-${count}`, count);
    await until('the database has grown', async () => (await database.stat()).size > before + 16_000_000);
    expect(await server.stop()).toBe(0);
    expect(await Bun.file(path.join(directory, 'server.log')).text()).not.toContain('could not be moved');
  },
  serveWithinMs,
);

async function startServer(): Promise<ServerProcess> {
  const port = freePort();
  const data = path.join(directory, 'data');
  return await ServerProcess.start(port, path.join(directory, 'server.log'), {
    command: [executable, 'serve', '--listen', `127.0.0.1:${port}`, '--data', data],
  });
}

async function statusOf(url: string): Promise<number> {
  const answer = await fetch(url);
  await answer.body?.cancel();
  return answer.status;
}
