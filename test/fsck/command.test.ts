import { afterEach, beforeEach, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtempSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf, freshBytes, imageOf, ociManifest } from '../http/content.ts';
import { forgetStoresBeside, storesBeside } from '../pairs/stores-beside.ts';
import { freePort } from '../server/free-port.ts';
import { ServerProcess } from '../server/server-process.ts';
import { until } from '../server/until.ts';
import { beside, objectNameOf } from './beside.ts';
import { isInBucket, isOnPostgres } from './damaged-registry.ts';

setDefaultTimeout(60_000);

let directory: string;
let data: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'wherry-fsck-'));
  data = mkdtempSync(join(directory, 'data-'));
});

afterEach(() => {
  forgetStoresBeside(data);
  rmSync(directory, { recursive: true });
});

async function serve(): Promise<ServerProcess> {
  const port = freePort();
  return await ServerProcess.start(port, join(directory, 'log'), {
    command: [process.execPath, 'src/main.ts', 'serve', '--listen', `127.0.0.1:${port}`, '--data', data],
    environment: storesBeside(data).environment,
  });
}

/** What a process is told that works on the stores of the pair under test. */
function environment(): Record<string, string | undefined> {
  return { ...process.env, ...storesBeside(data).environment };
}

async function run(...flags: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn([process.execPath, 'src/main.ts', 'fsck', '--data', data, ...flags], {
    stdout: 'pipe',
    stderr: 'pipe',
    env: environment(),
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
  expect(empty.err).toMatch(/there is no |no registry keeps its blobs in /);
  await using server = await serve();
  await pushImage(server);
  expect(await run()).toEqual({ code: 0, out: 'nothing is wrong\n', err: '' });
  await server.kill();
  expect(await run('--rehash', '--repair')).toEqual({ code: 0, out: 'nothing is wrong\n', err: '' });

  const { objects } = storesBeside(data);
  await objects.remove((await objects.names())[0] ?? '');
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

/** Bytes that nobody owns, two days old where that can be. */
async function leaveOrphan(): Promise<string> {
  const stored = await beside(data);
  const name = objectNameOf('ab'.repeat(16));
  await stored.write(name, 'nobody has it');
  const longAgo = new Date(Date.now() - 2 * 24 * 3_600_000);
  if (!isInBucket) utimesSync(stored.placeOf(name), longAgo, longAgo);
  return stored.placeOf(name);
}

test('wherry fsck --repair has the server repair what leaks, or does it by itself where none runs', async () => {
  await using server = await serve();
  await pushImage(server);
  for (const kind of ['a server', 'none']) {
    if (kind === 'none') await server.stop();
    const orphan = await leaveOrphan();
    storesBeside(data).tables.change("insert into object (oid, state) values ('0123', 'pending')");
    const leaks = (fate: string) => [
      'leak F8 object 0123: it waits for an upload that is gone',
      `    ${fate}`,
      ...(isInBucket ? [] : [`leak F2 ${orphan}: no object has this file of 13 bytes`, `    ${fate}`]),
    ];
    // What is in a bucket is as old as it is there.
    const count = isInBucket ? 1 : 2;
    const trial = await run('--repair', '--dry-run');
    expect(trial).toMatchObject({ code: 1, err: '' });
    expect(trial.out.trimEnd().split('\n')).toEqual([
      ...leaks('would be repaired'),
      `0 losses, ${count} leaks, 0 notes; 0 repaired`,
    ]);
    const repair = await run('--repair');
    expect(repair).toMatchObject({ code: 1, err: '' });
    expect(repair.out.trimEnd().split('\n')).toEqual([
      ...leaks('repaired'),
      `0 losses, ${count} leaks, 0 notes; ${count} repaired`,
    ]);
    expect(await run()).toEqual({ code: 0, out: 'nothing is wrong\n', err: '' });
  }
});

test('wherry fsck looks by itself at a registry whose token it cannot read, and leaves to its server what only that can repair', async () => {
  await using server = await serve();
  await pushImage(server);
  rmSync(join(data, 'admin.token'));
  const clean = { code: 0, out: 'nothing is wrong\n', err: '' };
  expect(await run()).toEqual(clean);
  const repair = await run('--repair');
  // The rows of a database that is shared are not the server's alone.
  if (isOnPostgres) return expect(repair).toEqual(clean);
  expect([repair.code, repair.out]).toEqual([2, '']);
  expect(repair.err).toContain('admin.token cannot be read');
});

test.each(['a server', 'none'])('wherry fsck shows at a terminal how far it has come: %s runs', async (kind) => {
  await using server = await serve();
  await pushImage(server);
  if (kind === 'none') await server.stop();
  let shown = '';
  const decoder = new TextDecoder();
  const flags = ['--data', data, '--rehash', '--rate', '100B', '--from', '0'];
  const child = Bun.spawn([process.execPath, 'src/main.ts', 'fsck', ...flags], {
    terminal: { data: (_, bytes) => void (shown += decoder.decode(bytes)) },
    env: environment(),
  });
  expect(await child.exited).toBe(0);
  // What is left in the terminal may come after the end.
  await until('all is shown', () => shown.endsWith('\r\u001B[Knothing is wrong\r\n'));
  expect(shown).toContain('\r\u001B[K100 bytes of blobs');
});

test.each([
  [['--rate', 'fast'], 'this is not a size'],
  [['--from', 'xyz'], 'an object id has 32 digits'],
])('wherry fsck %p is refused in words', async (flags, words) => {
  const { code, err } = await run(...flags);
  expect(code).toBe(2);
  expect(err).toContain(words);
});
