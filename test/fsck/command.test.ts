import { afterEach, beforeEach, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf, freshBytes, imageOf, ociManifest } from '../http/content.ts';
import { freePort, ServerProcess } from '../server/server-process.ts';

setDefaultTimeout(60_000);

let directory: string;
let data: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'wherry-fsck-'));
  data = join(directory, 'data');
});

afterEach(() => rmSync(directory, { recursive: true }));

async function serve(): Promise<ServerProcess> {
  const port = await freePort();
  return await ServerProcess.start(port, join(directory, 'log'), {
    command: [process.execPath, 'src/main.ts', 'serve', '--listen', `127.0.0.1:${port}`, '--data', data],
  });
}

async function run(...flags: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn([process.execPath, 'src/main.ts', 'fsck', '--data', data, ...flags], {
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, out, err };
}

async function pushImage(server: ServerProcess): Promise<void> {
  const config = freshBytes();
  const blob = await fetch(`${server.origin}/v2/app/blobs/uploads/?digest=${digestOf(config)}`, {
    method: 'POST',
    body: config,
  });
  expect(blob.status).toBe(201);
  const headers = { 'content-type': ociManifest };
  const body = JSON.stringify(imageOf(config));
  expect((await fetch(`${server.origin}/v2/app/manifests/latest`, { method: 'PUT', body, headers })).status).toBe(201);
}

test('wherry fsck ends with 0, 1 or 2: nothing is wrong, something is, or it could not look', async () => {
  const empty = await run();
  expect([empty.code, empty.out]).toEqual([2, '']);
  expect(empty.err).toContain('there is no wherry.db');
  await using server = await serve();
  await pushImage(server);
  expect(await run()).toEqual({ code: 0, out: 'nothing is wrong\n', err: '' });
  await server.kill();
  expect(await run('--rehash', '--repair')).toEqual({ code: 0, out: 'nothing is wrong\n', err: '' });

  const file = readdirSync(join(data, 'objects'), { recursive: true, encoding: 'utf8' }).find(
    (name) => name.length > 2,
  );
  rmSync(join(data, 'objects', file ?? ''));
  const lost = await run();
  expect(lost.code).toBe(1);
  expect(lost.out).toMatch(
    /^loss F1 object [0-9a-f]{32}: the file of sha256:[0-9a-f]{64} is missing\n {4}breaks app:latest\n {4}push the blob again/,
  );
  const [finding, counts] = (await run('--json')).out
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  expect(finding).toMatchObject({ code: 'F1', severity: 'loss', breaks: ['app:latest'], isRepaired: false });
  expect(counts).toEqual({ counts: { loss: 1, leak: 0, note: 0, repaired: 0 } });
});

test('wherry fsck beside a server that is being pushed to and deleted from finds nothing wrong', async () => {
  await using server = await serve();
  const over = new AbortController();
  const pushing = (async () => {
    while (!over.signal.aborted) {
      await pushImage(server);
      await fetch(`${server.origin}/v2/app/manifests/latest`, { method: 'DELETE' });
      const session = await fetch(`${server.origin}/v2/app/blobs/uploads/`, { method: 'POST' });
      await fetch(new URL(session.headers.get('location') ?? '', server.origin), { method: 'DELETE' });
    }
  })();
  try {
    for (let round = 0; round < 3; round++)
      expect(await run()).toEqual({ code: 0, out: 'nothing is wrong\n', err: '' });
  } finally {
    over.abort();
    await pushing;
  }
});

test.each([
  [['--rate', 'fast'], 'this is not a size'],
  [['--from', 'xyz'], 'an object id has 32 digits'],
])('wherry fsck %p is refused in words', async (flags, words) => {
  const { code, err } = await run(...flags);
  expect(code).toBe(2);
  expect(err).toContain(words);
});
