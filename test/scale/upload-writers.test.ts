import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { basename } from 'node:path';
import { directoryCalls } from '../../src/blobs/directory/calls.ts';
import type { RunningServer } from '../../src/server/server.ts';
import type { Syncs } from '../../src/stores/syncs.ts';
import { digestOf, freshBytes } from '../http/content.ts';
import { PostgresTables } from '../pairs/tables.ts';
import { startQuietServer } from '../server/quiet-server.ts';
import { slowBody } from '../server/slow-body.ts';
import { TemporaryDirectory } from '../server/temporary-directory.ts';
import { until } from '../server/until.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres });

/** More than a process keeps before it hands it to the system: a writer that goes on with it writes at once. */
const muchBytes = 3_000_000;

let directory: TemporaryDirectory;
let metadata: string;
let tables: PostgresTables;
let servers: RunningServer[];

beforeEach(async () => {
  directory = new TemporaryDirectory('writers');
  metadata = await storage.postgres.newDatabase();
  tables = PostgresTables.at(metadata);
  servers = [];
});

afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  directory[Symbol.dispose]();
});

/** A server as one of several that share a database and a directory of blobs, none of which collects what the tests look at. */
async function serve(syncs: Partial<Syncs> = {}): Promise<RunningServer> {
  const settings = { data: directory.path, metadata, 'collector.run': 'off' };
  const server = await startQuietServer(settings, { database: {}, blobs: {}, ...syncs });
  servers.push(server);
  return server;
}

/** Holds back what passes, from when it is told to and until it is told otherwise. */
class Barrier {
  #opened: PromiseWithResolvers<void> | undefined;
  waiting = 0;

  close(): void {
    this.#opened = Promise.withResolvers();
  }

  open(): void {
    this.#opened?.resolve();
    this.#opened = undefined;
  }

  async pass(): Promise<void> {
    if (this.#opened === undefined) return;
    this.waiting++;
    await this.#opened.promise;
    this.waiting--;
  }

  /** Holds the statements of transactions that write. */
  get statements(): Partial<Syncs> {
    return {
      postgres: {
        statement: async (execute) => {
          await this.pass();
          return await execute();
        },
      },
    };
  }

  /** Holds copies of what an upload has so far, before they are made. */
  get copies(): Partial<Syncs> {
    const copy = async (from: string, to: string): Promise<void> => {
      await this.pass();
      await directoryCalls.copy(from, to);
    };
    return { blobs: { copy } };
  }
}

async function send(server: RunningServer, path: string, init: RequestInit = {}): Promise<Response> {
  return await fetch(new URL(path, server.url), init);
}

async function openSession(server: RunningServer): Promise<string> {
  const opened = await send(server, '/v2/app/blobs/uploads/', { method: 'POST' });
  expect(opened.status).toBe(202);
  return opened.headers.get('location') ?? '';
}

async function patch(server: RunningServer, session: string, body: Uint8Array | ReadableStream): Promise<number> {
  return (await send(server, session, { method: 'PATCH', body })).status;
}

/** The closing PUT without bytes. */
async function close(server: RunningServer, session: string, bytes: Uint8Array): Promise<number> {
  return (await send(server, `${session}?digest=${digestOf(bytes)}`, { method: 'PUT' })).status;
}

interface SessionRow {
  readonly oid: string;
  readonly epoch: number;
  readonly writer: string | null;
  readonly offset_bytes: number;
}

function rowOf(session: string): SessionRow | undefined {
  return tables.rows<SessionRow>('select * from upload where id = ?', basename(session))[0];
}

async function untilEpoch(session: string, least: number): Promise<void> {
  await until(`claim ${least}`, () => (rowOf(session)?.epoch ?? 0) >= least);
}

async function expectWhole(server: RunningServer, bytes: Uint8Array): Promise<void> {
  const pulled = await send(server, `/v2/app/blobs/${digestOf(bytes)}`);
  expect([pulled.status, digestOf(new Uint8Array(await pulled.arrayBuffer()))]).toEqual([200, digestOf(bytes)]);
}

describe('a file has one writer at a time', () => {
  test('where another process claims the session between the look at it and the claim', async () => {
    const statements = new Barrier();
    const [one, two] = [await serve(), await serve(statements.statements)];
    const bytes = freshBytes(muchBytes);
    const session = await openSession(one);
    statements.close();
    const patched = patch(two, session, bytes);
    await until('two is about to claim the session', () => statements.waiting > 0);
    const stalled = slowBody(freshBytes(10), freshBytes(muchBytes));
    const overtaken = patch(one, session, stalled.body);
    await untilEpoch(session, 1);
    statements.open();
    expect(await patched).toBe(202);
    expect(await close(two, session, bytes)).toBe(201);
    stalled.goOn();
    expect(await overtaken).not.toBe(202);
    await expectWhole(two, bytes);
  });

  test('where two processes copy what a third has at the same time', async () => {
    const [twos, threes] = [new Barrier(), new Barrier()];
    const [one, two, three] = [await serve(), await serve(twos.copies), await serve(threes.copies)];
    const bytes = freshBytes(muchBytes);
    const session = await openSession(one);
    const begun = bytes.subarray(0, 1000);
    expect(await patch(one, session, begun)).toBe(202);
    const stalled = slowBody(freshBytes(10), freshBytes(muchBytes));
    const stalledOfTwo = slowBody(freshBytes(10), freshBytes(muchBytes));
    const ofOne = patch(one, session, stalled.body);
    await untilEpoch(session, 2);
    for (const copies of [twos, threes]) copies.close();
    const ofTwo = patch(two, session, stalledOfTwo.body);
    const ofThree = patch(three, session, bytes.subarray(1000));
    await until('both copy', () => twos.waiting > 0 && threes.waiting > 0);
    twos.open();
    await untilEpoch(session, 4);
    threes.open();
    expect(await ofThree).toBe(202);
    expect(await close(three, session, bytes)).toBe(201);
    for (const { goOn } of [stalled, stalledOfTwo]) goOn();
    for (const overtaken of [ofOne, ofTwo]) expect(await overtaken).not.toBe(202);
    await expectWhole(three, bytes);
  });

  test('and nothing that is acknowledged is lost, where the one that is to be overtaken ends while what it has is copied', async () => {
    const copies = new Barrier();
    const [one, two] = [await serve(), await serve(copies.copies)];
    const bytes = freshBytes(muchBytes);
    const session = await openSession(one);
    const going = slowBody(bytes.subarray(0, 10), bytes.subarray(10, 1000));
    const ofOne = patch(one, session, going.body);
    await untilEpoch(session, 1);
    copies.close();
    const ofTwo = patch(two, session, bytes.subarray(1000));
    await until('two copies', () => copies.waiting > 0);
    going.goOn();
    // What has been acknowledged is not taken back because a copy that has begun before lacks it.
    expect(await ofOne).toBe(202);
    copies.open();
    expect(await ofTwo).toBe(202);
    expect(await close(two, session, bytes)).toBe(201);
    await expectWhole(one, bytes);
  });

  test('and who finds another process at work each time is to try again', async () => {
    const [one, bytes] = [await serve(), freshBytes(1000)];
    const session = await openSession(one);
    const begun: (() => Promise<unknown>)[] = [];
    const begin = async (): Promise<void> => {
      const before = rowOf(session)?.epoch ?? 0;
      const { body, goOn } = slowBody(freshBytes(10), freshBytes(10));
      const patched = patch(one, session, body);
      begun.push(async () => {
        goOn();
        await patched;
      });
      await untilEpoch(session, before + 1);
    };
    await begin();
    let copies = 0;
    const copy = async (from: string, to: string): Promise<void> => {
      copies++;
      await begin();
      await directoryCalls.copy(from, to);
    };
    const two = await serve({ blobs: { copy } });
    const refused = await send(two, session, { method: 'PATCH', body: bytes });
    expect([refused.status, refused.headers.has('retry-after'), copies]).toEqual([503, true, 5]);
    await Promise.all(begun.map((end) => end()));
  });
});
