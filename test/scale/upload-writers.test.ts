import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { DatabaseError } from 'pg';
import { directoryCalls } from '../../src/blobs/directory/calls.ts';
import type { Syncs } from '../../src/stores/syncs.ts';
import { freshBytes } from '../http/content.ts';
import { slowBody } from '../server/slow-body.ts';
import { until } from '../server/until.ts';
import { startPostgres } from './postgres-server.ts';
import { close, expectWhole, muchBytes, openSession, patch, send, SharedDirectory } from './shared-directory.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres });

let shared: SharedDirectory;

beforeEach(async () => {
  shared = new SharedDirectory(await storage.postgres.newDatabase());
});

afterEach(async () => {
  await shared[Symbol.asyncDispose]();
});

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

describe('a file has one writer at a time', () => {
  test('where another process claims the session between the look at it and the claim', async () => {
    const statements = new Barrier();
    const [one, two] = [await shared.serve(), await shared.serve(statements.statements)];
    const bytes = freshBytes(muchBytes);
    const session = await openSession(one);
    statements.close();
    const patched = patch(two, session, bytes);
    await until('two is about to claim the session', () => statements.waiting > 0);
    const stalled = slowBody(freshBytes(10), freshBytes(muchBytes));
    const overtaken = patch(one, session, stalled.body);
    await shared.untilClaimed(session, 1);
    statements.open();
    expect(await patched).toBe(202);
    expect(await close(two, session, bytes)).toBe(201);
    stalled.goOn();
    expect(await overtaken).not.toBe(202);
    await expectWhole(two, bytes);
  });

  test('and whose file is gone, as another process has taken the upload over, is told who came, not that a blob is gone', async () => {
    const [one, two] = [await shared.serve(), await shared.serve()];
    const bytes = freshBytes(1000);
    const session = await openSession(one);
    // The disk is set to work on what it has brought before it could have seen that the upload is another's.
    const stalled = slowBody(freshBytes(10), freshBytes(65 * 1024 * 1024));
    const overtaken = patch(one, session, stalled.body);
    await shared.untilClaimed(session, 1);
    const { oid } = shared.rowOf(session) ?? { oid: '' };
    await until('its file is there', () => shared.hasFileOf(oid));
    expect(await patch(two, session, bytes)).toBe(202);
    await until('its file is gone', () => !shared.hasFileOf(oid));
    stalled.goOn();
    expect(await overtaken).toBe(416);
    expect(await close(two, session, bytes)).toBe(201);
    await expectWhole(one, bytes);
  });

  test('where two processes copy what a third has at the same time', async () => {
    const [twos, threes] = [new Barrier(), new Barrier()];
    const [one, two, three] = [
      await shared.serve(),
      await shared.serve(twos.copies),
      await shared.serve(threes.copies),
    ];
    const bytes = freshBytes(muchBytes);
    const session = await openSession(one);
    const begun = bytes.subarray(0, 1000);
    expect(await patch(one, session, begun)).toBe(202);
    const stalled = slowBody(freshBytes(10), freshBytes(muchBytes));
    const stalledOfTwo = slowBody(freshBytes(10), freshBytes(muchBytes));
    const ofOne = patch(one, session, stalled.body);
    await shared.untilClaimed(session, 2);
    for (const copies of [twos, threes]) copies.close();
    const ofTwo = patch(two, session, stalledOfTwo.body);
    const ofThree = patch(three, session, bytes.subarray(1000));
    await until('both copy', () => twos.waiting > 0 && threes.waiting > 0);
    twos.open();
    await shared.untilClaimed(session, 4);
    threes.open();
    expect(await ofThree).toBe(202);
    expect(await close(three, session, bytes)).toBe(201);
    for (const { goOn } of [stalled, stalledOfTwo]) goOn();
    for (const overtaken of [ofOne, ofTwo]) expect(await overtaken).not.toBe(202);
    await expectWhole(three, bytes);
  });

  test('and nothing that is acknowledged is lost, where the one that is to be overtaken ends while what it has is copied', async () => {
    const copies = new Barrier();
    const [one, two] = [await shared.serve(), await shared.serve(copies.copies)];
    const bytes = freshBytes(muchBytes);
    const session = await openSession(one);
    expect(await patch(one, session, bytes.subarray(0, 10))).toBe(202);
    const going = slowBody(bytes.subarray(10, 20), bytes.subarray(20, 1000));
    const ofOne = patch(one, session, going.body);
    await shared.untilClaimed(session, 2);
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
    const [one, bytes] = [await shared.serve(), freshBytes(1000)];
    const session = await openSession(one);
    expect(await patch(one, session, bytes)).toBe(202);
    const begun: (() => Promise<unknown>)[] = [];
    const begin = async (): Promise<void> => {
      const before = shared.rowOf(session)?.epoch ?? 0;
      const { body, goOn } = slowBody(freshBytes(10), freshBytes(10));
      const patched = patch(one, session, body);
      begun.push(async () => {
        goOn();
        await patched;
      });
      await shared.untilClaimed(session, before + 1);
    };
    await begin();
    let copies = 0;
    const copy = async (from: string, to: string): Promise<void> => {
      copies++;
      await begin();
      await directoryCalls.copy(from, to);
    };
    const two = await shared.serve({ blobs: { copy } });
    const refused = await send(two, session, { method: 'PATCH', body: bytes });
    expect([refused.status, refused.headers.has('retry-after'), copies]).toEqual([503, true, 5]);
    await Promise.all(begun.map((end) => end()));
  });

  test('and whoever cancels an upload, and has no room for that in the database, cuts nothing off', async () => {
    const cutting = new Barrier();
    let isFull = false;
    const truncate = async (path: string, sizeBytes: number): Promise<void> => {
      await cutting.pass();
      await directoryCalls.truncate(path, sizeBytes);
    };
    const statement = async <T>(execute: () => Promise<T>): Promise<T> => {
      if (isFull) throw Object.assign(new DatabaseError('no space left on device', 0, 'error'), { code: '53100' });
      return await execute();
    };
    const [one, two] = [await shared.serve(), await shared.serve({ blobs: { truncate }, postgres: { statement } })];
    const bytes = freshBytes(1000);
    const session = await openSession(one);
    expect(await patch(one, session, bytes)).toBe(202);
    isFull = true;
    cutting.close();
    const cancelled = send(two, session, { method: 'DELETE' });
    await Promise.race([cancelled, until('it is about to cut it off', () => cutting.waiting > 0)]);
    expect(await close(one, session, bytes)).toBe(201);
    cutting.open();
    expect((await cancelled).status).toBe(507);
    await expectWhole(one, bytes);
  });

  test('and is gone on with where nobody knows what came of a claim', async () => {
    let isAnswerLost = false;
    const commit = async <T>(execute: () => Promise<T>): Promise<T> => {
      const answer = await execute();
      if (isAnswerLost) throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' });
      return answer;
    };
    const [one, two] = [await shared.serve({ postgres: { commit } }), await shared.serve()];
    const bytes = freshBytes(muchBytes);
    const session = await openSession(two);
    expect(await patch(two, session, bytes.subarray(0, 1000))).toBe(202);
    isAnswerLost = true;
    expect(await patch(one, session, bytes.subarray(1000))).toBe(503);
    expect(shared.rowOf(session)).toMatchObject({ epoch: 2, offset_bytes: 1000 });
    expect(await patch(two, session, bytes.subarray(1000))).toBe(202);
    isAnswerLost = false;
    expect(await close(one, session, bytes)).toBe(201);
    await expectWhole(two, bytes);
  });
});
