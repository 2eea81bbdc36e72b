import { expect, setDefaultTimeout, test } from 'bun:test';
import { digestOf } from './image-content.ts';
import { noise } from './noise.ts';
import { RawRequest } from '../server/raw-request.ts';
import { setStage } from './stage.ts';

setDefaultTimeout(60_000);

const stage = setStage('uploads');
const { wherry } = stage;
const blobs = stage.repository('uploads/by-hand');
const megabyte = 1 << 20;

/** Opens a session and returns its path. */
async function openSession(): Promise<string> {
  const answer = await blobs.fetch('blobs/uploads/', { method: 'POST' });
  expect(answer.status).toBe(202);
  return pathOf(answer);
}

function pathOf(answer: Response): string {
  const { pathname, search } = new URL(answer.headers.get('location') ?? '', wherry.origin);
  return pathname + search;
}

async function send(path: string, init: RequestInit): Promise<Response> {
  return fetch(wherry.origin + path, { signal: AbortSignal.timeout(30_000), ...init });
}

/** Where a session stands, in bytes, and where it goes on. */
async function status(path: string): Promise<{ readonly offset: number; readonly path: string }> {
  const answer = await send(path, {});
  expect(answer.status).toBe(204);
  const range = /^0-(\d+)$/.exec(answer.headers.get('range') ?? '');
  expect(range).not.toBeNull();
  const last = Number(range?.[1]);
  return { offset: last === 0 ? 0 : last + 1, path: pathOf(answer) };
}

/** Sends a whole chunk; returns the answer's status and where the session goes on. */
async function sendChunk(
  path: string,
  bytes: Uint8Array<ArrayBuffer>,
  first: number,
): Promise<{ readonly status: number; readonly path: string }> {
  const answer = await send(path, {
    method: 'PATCH',
    headers: { 'content-type': 'application/octet-stream', 'content-range': `${first}-${first + bytes.length - 1}` },
    body: bytes,
  });
  return { status: answer.status, path: answer.status === 202 ? pathOf(answer) : path };
}

async function close(path: string, digest: string): Promise<Response> {
  return send(`${path}${path.includes('?') ? '&' : '?'}digest=${digest}`, { method: 'PUT' });
}

/** The head of a PATCH whose bytes the test sends itself. */
async function openPatch(path: string, headers: Readonly<Record<string, string>>): Promise<RawRequest> {
  return RawRequest.open(wherry.host, 'PATCH', path, { 'content-type': 'application/octet-stream', ...headers });
}

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within 10 s: ${what}`);
    await Bun.sleep(10);
  }
}

async function expectBlob(bytes: Uint8Array): Promise<void> {
  const answer = await blobs.fetch(`blobs/${digestOf(bytes)}`);
  expect(answer.status).toBe(200);
  const served = new Uint8Array(await answer.arrayBuffer());
  expect(served.length).toBe(bytes.length);
  expect(digestOf(served)).toBe(digestOf(bytes));
}

/** Continues a session from where the registry says it stands, and closes it. */
async function finish(path: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const standing = await status(path);
  const sent = await sendChunk(standing.path, bytes.slice(standing.offset), standing.offset);
  expect(sent.status).toBe(202);
  const closed = await close(sent.path, digestOf(bytes));
  expect(closed.status).toBe(201);
  expect(closed.headers.get('docker-content-digest')).toBe(digestOf(bytes));
  await expectBlob(bytes);
}

test.each([
  ['a chunk of known length', { 'content-length': `${16 * megabyte}`, 'content-range': `0-${16 * megabyte - 1}` }],
  ['a stream of unknown length', { 'transfer-encoding': 'chunked' }],
])('an upload whose connection breaks in the middle of %s goes on behind the bytes that came', async (_, headers) => {
  const bytes = noise(16 * megabyte);
  const path = await openSession();
  const patch = await openPatch(path, headers);
  const isChunked = 'transfer-encoding' in headers;
  if (isChunked) await patch.write(`${(16 * megabyte).toString(16)}\r\n`);
  await patch.write(bytes.subarray(0, 8 * megabyte));
  patch.destroy();

  await until('the bytes that came are counted', async () => (await status(path)).offset > 0);
  expect((await status(path)).offset).toBeLessThanOrEqual(8 * megabyte);
  await finish(path, bytes);
});

test('a chunk that repeats bytes which are there already is refused, with the place where the session stands', async () => {
  const bytes = noise(2 * megabyte);
  const first = await sendChunk(await openSession(), bytes.slice(0, megabyte), 0);
  expect(first.status).toBe(202);
  expect((await sendChunk(first.path, bytes.slice(0, megabyte), 0)).status).toBe(416);
  expect((await sendChunk(first.path, bytes.slice(megabyte + 1), megabyte + 1)).status).toBe(416);

  expect((await status(first.path)).offset).toBe(megabyte);
  await finish(first.path, bytes);
});

test('an upload goes on after the registry was killed with -9 in the middle of a chunk', async () => {
  const bytes = noise(12 * megabyte);
  const first = await sendChunk(await openSession(), bytes.slice(0, 4 * megabyte), 0);
  expect(first.status).toBe(202);
  const patch = await openPatch(first.path, {
    'content-length': `${8 * megabyte}`,
    'content-range': `${4 * megabyte}-${12 * megabyte - 1}`,
  });
  await patch.write(bytes.subarray(4 * megabyte, 7 * megabyte));
  await wherry.kill();
  await wherry.start();

  // The chunk that was acknowledged is there; what came of the next one may be.
  const { offset } = await status(first.path);
  expect(offset).toBeGreaterThanOrEqual(4 * megabyte);
  expect(offset).toBeLessThanOrEqual(7 * megabyte);
  await finish(first.path, bytes);
});

test('an upload that nobody was writing to goes on after the registry was killed with -9', async () => {
  const bytes = noise(3 * megabyte);
  const first = await sendChunk(await openSession(), bytes.slice(0, 2 * megabyte), 0);
  await wherry.kill();
  await wherry.start();

  expect((await status(first.path)).offset).toBe(2 * megabyte);
  await finish(first.path, bytes);
});

test('a closing PUT repeated is answered with 201 again, also by the next process', async () => {
  const bytes = noise(megabyte);
  const { path } = await sendChunk(await openSession(), bytes, 0);
  const closed = await close(path, digestOf(bytes));
  expect(closed.status).toBe(201);

  for (const repeated of [await close(path, digestOf(bytes)), await close(path, digestOf(bytes))]) {
    expect(repeated.status).toBe(201);
    expect(repeated.headers.get('location')).toBe(closed.headers.get('location'));
    expect(repeated.headers.get('docker-content-digest')).toBe(digestOf(bytes));
  }
  await wherry.kill();
  await wherry.start();
  expect((await close(path, digestOf(bytes))).status).toBe(201);
  await expectBlob(bytes);
});

test('a closing PUT whose answer nobody waited for is answered when it is repeated', async () => {
  const bytes = noise(4 * megabyte);
  const { path } = await sendChunk(await openSession(), bytes.slice(0, 3 * megabyte), 0);
  const separator = path.includes('?') ? '&' : '?';
  const lost = await RawRequest.open(wherry.host, 'PUT', `${path}${separator}digest=${digestOf(bytes)}`, {
    'content-length': `${megabyte}`,
    'content-range': `${3 * megabyte}-${4 * megabyte - 1}`,
  });
  await lost.write(bytes.subarray(3 * megabyte));
  lost.destroy();

  await until('the blob is there', async () => (await blobs.status(`blobs/${digestOf(bytes)}`)) === 200);
  const repeated = await send(`${path}${separator}digest=${digestOf(bytes)}`, {
    method: 'PUT',
    headers: { 'content-range': `${3 * megabyte}-${4 * megabyte - 1}` },
    body: bytes.slice(3 * megabyte),
  });
  expect(repeated.status).toBe(201);
  await expectBlob(bytes);
});

test('a closing PUT that breaks off in the middle publishes nothing, and can be finished', async () => {
  const bytes = noise(4 * megabyte);
  const path = await openSession();
  const separator = path.includes('?') ? '&' : '?';
  const broken = await RawRequest.open(wherry.host, 'PUT', `${path}${separator}digest=${digestOf(bytes)}`, {
    'content-length': `${bytes.length}`,
  });
  await broken.write(bytes.subarray(0, 2 * megabyte));
  broken.destroy();

  await until('the bytes that came are counted', async () => (await status(path)).offset > 0);
  expect(await blobs.status(`blobs/${digestOf(bytes)}`)).toBe(404);
  await finish(path, bytes);
});

test('a writer that stalls and is overtaken by another one cannot mix its bytes in', async () => {
  const stalledBytes = noise(4 * megabyte);
  const bytes = noise(4 * megabyte);
  const path = await openSession();
  const stalled = await openPatch(path, {
    'content-length': `${4 * megabyte}`,
    'content-range': `0-${4 * megabyte - 1}`,
  });
  await stalled.write(stalledBytes.subarray(0, 3 * megabyte));
  const overtaking = await sendChunk(path, bytes, 0);
  expect(overtaking.status).toBe(202);
  // What the first writer still sends must find no one who takes it, whether it is told so or cut off.
  await stalled.write(stalledBytes.subarray(3 * megabyte)).catch(() => undefined);
  expect([416, undefined]).toContain(await stalled.status());
  stalled.destroy();

  expect((await status(overtaking.path)).offset).toBe(4 * megabyte);
  expect((await close(overtaking.path, digestOf(stalledBytes))).status).toBe(400);
  expect(await blobs.status(`blobs/${digestOf(stalledBytes)}`)).toBe(404);
});

test('a writer that was overtaken leaves the bytes of the other one whole', async () => {
  const bytes = noise(5 * megabyte);
  const path = await openSession();
  const stalled = await openPatch(path, { 'transfer-encoding': 'chunked' });
  await stalled.write(`${megabyte.toString(16)}\r\n`);
  await stalled.write(noise(megabyte));
  const overtaking = await sendChunk(path, bytes.slice(0, 4 * megabyte), 0);
  expect(overtaking.status).toBe(202);
  await stalled.write(`\r\n${megabyte.toString(16)}\r\n`).catch(() => undefined);
  await stalled.write(noise(megabyte)).catch(() => undefined);
  await stalled.write('\r\n0\r\n\r\n').catch(() => undefined);
  await stalled.status();
  stalled.destroy();

  await finish(overtaking.path, bytes);
});

test('of many writers that send the same chunk at once, the blob holds one', async () => {
  const rivals = Array.from({ length: 6 }, () => noise(2 * megabyte));
  const path = await openSession();
  const settled = await Promise.allSettled(rivals.map(async (bytes) => sendChunk(path, bytes, 0)));
  // Whoever loses is told so, or is cut off while still sending.
  const statuses = settled.map((answer) => (answer.status === 'fulfilled' ? answer.value.status : 416));
  expect(statuses.filter((answer) => answer === 202)).toHaveLength(1);
  expect(statuses.filter((answer) => answer === 416)).toHaveLength(5);

  const winner = rivals[statuses.indexOf(202)] ?? new Uint8Array();
  expect((await close(path, digestOf(winner))).status).toBe(201);
  await expectBlob(winner);
});
