import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { Client } from 'pg';
import { directoryCalls } from '../../src/blobs/directory/calls.ts';
import type { RunningServer } from '../../src/server/server.ts';
import { digestOf, freshBytes } from '../http/content.ts';
import { slowBody } from '../server/slow-body.ts';
import { until } from '../server/until.ts';
import { InjectingProxy, operationOf } from './injecting-proxy.ts';
import { startMinio, type TestBucket } from './minio-server.ts';
import { startPostgres } from './postgres-server.ts';
import { close, expectWhole, muchBytes, openSession, patch, send, SharedDirectory } from './shared-directory.ts';
import { StorageServers } from './storage-servers.ts';

/** What nobody waits for comes to the disk so late that a crash loses it. */
const lateLog = ['wal_writer_delay=10s'];

const storage = new StorageServers({ postgres: () => startPostgres(undefined, lateLog), s3: startMinio });

let metadata: string;
let shared: SharedDirectory;
let one: RunningServer;
let two: RunningServer;

afterEach(async () => {
  await shared[Symbol.asyncDispose]();
});

/** Has all that was committed until now outlast a crash, and what comes next begin a page of the log of its own. */
async function keepUntilNow(): Promise<void> {
  const client = new Client({ connectionString: metadata });
  await client.connect();
  await client.query(`select pg_logical_emit_message(true, 'test', '')`);
  await client.query('select pg_switch_wal()');
  await client.end();
}

async function crash(): Promise<void> {
  await storage.postgres.restart();
  for (const server of [one, two]) {
    await until('it reaches the database again', async () => (await send(server, '/readyz')).status === 200);
  }
}

/** How many tries a claim may take to be lost: the server may write its log at any time. */
const mostTries = 20;

/**
 * Has a session of which the database has lost what one has done since it had some bytes.
 * @param write does it, and says how to end it where nothing was lost
 */
async function losing<Written extends { giveUp(): Promise<unknown> }>(
  before: Uint8Array,
  write: (session: string, claims: number) => Promise<Written>,
) {
  for (let tries = 1; ; tries++) {
    const session = await openSession(one);
    if (before.byteLength > 0) expect(await patch(one, session, before)).toBe(202);
    await keepUntilNow();
    const claims = shared.rowOf(session)?.epoch ?? 0;
    const written = await write(session, claims);
    await crash();
    if (shared.rowOf(session)?.epoch === claims) return { session, claims, ...written };
    expect(tries).toBeLessThan(mostTries);
    await written.giveUp();
  }
}

/** The same, where one is still writing, in a chunk or in the closing PUT of some bytes. */
async function losingAClaim(
  {
    before = new Uint8Array(),
    claimsBefore = 0,
  }: { readonly before?: Uint8Array; readonly claimsBefore?: number } = {},
  closing?: Uint8Array,
) {
  return await losing(before, async (session, claims) => {
    for (let lost = 0; lost < claimsBefore; lost++) expect(await patch(one, session, new Uint8Array())).toBe(202);
    const { body, goOn } =
      closing === undefined
        ? slowBody(freshBytes(10), freshBytes(muchBytes))
        : slowBody(closing.subarray(0, 10), closing.subarray(10));
    const overtaken =
      closing === undefined
        ? patch(one, session, body)
        : send(one, `${session}?digest=${digestOf(closing)}`, { method: 'PUT', body }).then(({ status }) => status);
    await shared.untilClaimed(session, claims + claimsBefore + 1);
    const giveUp = async (): Promise<unknown> => {
      goOn();
      return await overtaken;
    };
    return { overtaken, goOn, giveUp };
  });
}

/** The same, where one has been acknowledged two chunks, of which the second ends where `lost` does. */
async function losingTwoChunks(lost: Uint8Array) {
  return await losing(new Uint8Array(), async (session) => {
    for (const part of [lost.subarray(0, 1000), lost.subarray(1000)]) expect(await patch(one, session, part)).toBe(202);
    return { giveUp: () => Promise.resolve() };
  });
}

async function purge(server: RunningServer, bytes: Uint8Array): Promise<void> {
  const purged = await send(server, '/admin/v1/purge', {
    method: 'POST',
    headers: { authorization: `Bearer ${shared.adminTokenOf(server)}` },
    body: JSON.stringify({ digests: [digestOf(bytes)], reason: 'a key was in it' }),
  });
  expect(purged.status).toBe(200);
}

describe('a file has one writer at a time, where a crash of the database has taken a claim back', () => {
  /** Until then the second one removes no file. */
  let mayRemove: Promise<void>;

  beforeEach(async () => {
    metadata = await storage.postgres.newDatabase();
    shared = new SharedDirectory(metadata);
    mayRemove = Promise.resolve();
    const unlink = async (path: string): Promise<void> => {
      await mayRemove;
      await directoryCalls.unlink(path);
    };
    [one, two] = [await shared.serve(), await shared.serve({ blobs: { unlink } })];
  });

  test('and its writer goes on when another one has closed the upload', async () => {
    const bytes = freshBytes(muchBytes);
    const { session, overtaken, goOn } = await losingAClaim();
    expect(await patch(two, session, bytes)).toBe(202);
    expect(await close(two, session, bytes)).toBe(201);
    goOn();
    expect(await overtaken).not.toBe(202);
    await expectWhole(two, bytes);
  }, 60_000);

  test('and its writer goes on while another one does', async () => {
    const bytes = freshBytes(2 * muchBytes);
    const { session, claims, overtaken, goOn } = await losingAClaim({ before: bytes.subarray(0, 1000) });
    const going = slowBody(bytes.subarray(1000, muchBytes), bytes.subarray(muchBytes));
    const ofTwo = patch(two, session, going.body);
    await shared.untilClaimed(session, claims + 1);
    goOn();
    expect(await overtaken).not.toBe(202);
    going.goOn();
    expect(await ofTwo).toBe(202);
    expect(await close(two, session, bytes)).toBe(201);
    await expectWhole(one, bytes);
  }, 60_000);

  test('and nobody goes by the hash of what was lost', async () => {
    const [lost, bytes] = [freshBytes(2000), freshBytes(2000)];
    const { session } = await losingTwoChunks(lost);
    // As many claims as were lost, and as many bytes.
    expect(await patch(two, session, bytes)).toBe(202);
    expect(await close(one, session, lost)).toBe(400);
  }, 60_000);

  test('and a purge of what was lost leaves the upload that has gone on without it', async () => {
    const [lost, bytes] = [freshBytes(2000), freshBytes(2000)];
    const { session } = await losingTwoChunks(lost);
    expect(await patch(two, session, bytes)).toBe(202);
    await purge(one, lost);
    expect(await close(two, session, bytes)).toBe(201);
    await expectWhole(one, bytes);
  }, 60_000);

  test('and gives its number to another one: whose it was before records nothing', async () => {
    const bytes = freshBytes(2 * muchBytes);
    const { session, claims, overtaken, goOn } = await losingAClaim({ claimsBefore: 1 });
    const going = slowBody(bytes.subarray(0, muchBytes), bytes.subarray(muchBytes));
    const ofTwo = patch(two, session, going.body);
    await shared.untilClaimed(session, claims + 2);
    goOn();
    expect(await overtaken).toBe(416);
    expect(shared.rowOf(session)).toMatchObject({ epoch: claims + 2, offset_bytes: 0 });
    going.goOn();
    expect(await ofTwo).toBe(202);
    expect(await close(two, session, bytes)).toBe(201);
    await expectWhole(one, bytes);
  }, 60_000);

  test('and gives its number to another one: whose it was before publishes nothing', async () => {
    const [lost, bytes] = [freshBytes(muchBytes), freshBytes(muchBytes)];
    const removing = Promise.withResolvers<void>();
    mayRemove = removing.promise;
    const { session, claims, overtaken, goOn } = await losingAClaim({ claimsBefore: 1 }, lost);
    const going = slowBody(bytes.subarray(0, 10), bytes.subarray(10));
    const ofTwo = patch(two, session, going.body);
    await shared.untilClaimed(session, claims + 2);
    goOn();
    expect(await overtaken).toBe(416);
    removing.resolve();
    going.goOn();
    expect(await ofTwo).toBe(202);
    expect(await close(two, session, bytes)).toBe(201);
    await expectWhole(one, bytes);
  }, 60_000);
});

describe('of what was written to a bucket under a claim that a crash of the database has taken back', () => {
  const mebibyte = 1024 * 1024;
  let bucket: TestBucket;
  let proxy: InjectingProxy;

  beforeEach(async () => {
    metadata = await storage.postgres.newDatabase();
    bucket = await storage.s3.newBucket();
    proxy = new InjectingProxy(storage.s3.endpoint);
    const blobs = { blobs: `s3://${bucket.name}`, 's3.endpoint': storage.s3.endpoint };
    shared = new SharedDirectory(metadata, { ...blobs, 's3.redirect': 'off', 's3.lateWrites': '0' });
    [one, two] = [await shared.serve({}, { 's3.endpoint': proxy.endpoint }), await shared.serve()];
  });

  afterEach(async () => {
    await proxy[Symbol.asyncDispose]();
  });

  /** What the bucket has of an upload's object, or of the blob that it has become. */
  async function leftOf(oid: string): Promise<readonly string[]> {
    const uploads = (await bucket.uploads()).map((key) => `unfinished ${key}`);
    return [...(await bucket.keys()), ...uploads]
      .filter((key) => key.includes(oid))
      .map((key) => key.replace(/^.*\//, ''));
  }

  test.each([
    ['a few bytes, which make no part', 3 * mebibyte],
    ['parts of an upload that nobody ends', 16 * mebibyte],
  ])(
    '%s, nothing is left once the upload is closed',
    async (_what, sizeBytes) => {
      const [lost, bytes] = [freshBytes(sizeBytes), freshBytes(muchBytes)];
      const range = { 'content-range': `0-${sizeBytes - 1}` };
      const { session } = await losing(new Uint8Array(), async (opened) => {
        expect((await send(one, opened, { method: 'PATCH', headers: range, body: lost })).status).toBe(202);
        return { giveUp: () => Promise.resolve() };
      });
      const oid = shared.rowOf(session)?.oid ?? '';
      expect((await leftOf(oid)).length).toBe(1);
      expect(await patch(two, session, bytes)).toBe(202);
      expect(await close(two, session, bytes)).toBe(201);
      expect(await leftOf(oid)).toEqual([oid]);
      await expectWhole(one, bytes);
    },
    60_000,
  );

  test('nobody goes by the hash, for a purge either', async () => {
    const [lost, bytes] = [freshBytes(2000), freshBytes(2000)];
    const { session } = await losingTwoChunks(lost);
    expect(await patch(two, session, bytes)).toBe(202);
    // As many as were lost, as one was left out.
    expect(shared.rowOf(session)).toMatchObject({ epoch: 2, offset_bytes: 2000 });
    await purge(one, lost);
    expect(await patch(two, session, new Uint8Array())).toBe(202);
    expect(shared.rowOf(session)).toMatchObject({ epoch: 3, offset_bytes: 2000 });
    expect(await close(two, session, bytes)).toBe(201);
    await expectWhole(one, bytes);
  }, 60_000);

  test('nothing takes the place of what has been published since', async () => {
    const [lost, bytes] = [freshBytes(16 * mebibyte), freshBytes(16 * mebibyte)];
    const { session, completed, letGo } = await losing(new Uint8Array(), async (opened) => {
      const completing = Promise.withResolvers<void>();
      const held = Promise.withResolvers<void>();
      proxy.inject = (request) => {
        if (operationOf(request) !== 'CompleteMultipartUpload') return undefined;
        completing.resolve();
        return { do: 'hold', until: held.promise };
      };
      const closing = send(one, `${opened}?digest=${digestOf(lost)}`, { method: 'PUT', body: lost });
      await completing.promise;
      const giveUp = async (): Promise<unknown> => {
        held.resolve();
        return await closing;
      };
      return { completed: closing, letGo: held.resolve, giveUp };
    });
    expect(await patch(two, session, bytes)).toBe(202);
    expect(await close(two, session, bytes)).toBe(201);
    letGo();
    expect((await completed).status).not.toBe(201);
    await expectWhole(two, bytes);
  }, 60_000);
});
