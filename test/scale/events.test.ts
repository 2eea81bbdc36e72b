import { afterEach, beforeEach, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { z } from 'zod';
import { AuditFile } from '../../src/audit/audit-file.ts';
import { EventFeed } from '../../src/audit/event-feed.ts';
import { eventPage } from '../../src/audit/event-page.ts';
import { change, type Operation, type Step } from '../../src/metadata/operation.ts';
import { upsertAuditFile } from '../../src/metadata/queries/audit-files.ts';
import { raiseGeneration } from '../../src/metadata/queries/store.ts';
import { PostgresMetadataStore } from '../../src/metadata/postgres/store.ts';
import { startActor } from '../../src/registry/actor.ts';
import { recordEvent } from '../../src/registry/events.ts';
import { jsonLines } from '../../src/json-lines.ts';
import { createLog } from '../../src/log/log.ts';
import { ownProgram } from '../../src/own-program.ts';
import { startQuietServer } from '../server/quiet-server.ts';
import { TemporaryDirectory } from '../server/temporary-directory.ts';
import { until } from '../server/until.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres });

let url: string;
let one: PostgresMetadataStore;
let two: PostgresMetadataStore;

beforeEach(async () => {
  url = await storage.postgres.newDatabase();
  one = await PostgresMetadataStore.open(url);
  two = await PostgresMetadataStore.open(url);
});

afterEach(async () => {
  await Promise.all([one.close(), two.close()]);
});

function event(reason: string, at = 1): Operation<void> {
  return recordEvent({ at, kind: 'collector.paused', actor: startActor, reason });
}

/** An operation that has written its event, and is not over before it is told to be; `before` is done before that. */
function heldBack(reason: string, before?: () => Promise<void>) {
  const [written, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const begin: Step = { execute: () => undefined, executeLater: before ?? (async () => undefined) };
  const hold: Step = {
    execute: () => undefined,
    async executeLater() {
      written.resolve();
      await release.promise;
    },
  };
  function* operation(): Operation<void> {
    if (before !== undefined) {
      // Writing something gives it its number.
      yield* change(raiseGeneration, {});
      yield begin;
    }
    yield* event(reason);
    yield hold;
  }
  return { operation, written: written.promise, release: () => release.resolve() };
}

async function auditFile(path: string, metadata: PostgresMetadataStore, feed: EventFeed, writer = 'the only one') {
  const log = await createLog({ level: 'warn', format: 'json' });
  return await AuditFile.open({ path, writer, metadata, feed, log });
}

function reasonsIn(path: string): readonly string[] {
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  return lines.map((text) => z.object({ reason: z.string() }).parse(JSON.parse(text)).reason);
}

test('whoever follows events misses none that is committed after one with a larger number', async () => {
  const feed = new EventFeed(one);
  const seen: (string | null)[] = [];
  let last = 0;
  const look = async (): Promise<void> => {
    const rows = await feed.next(last);
    last = rows.at(-1)?.id ?? last;
    seen.push(...rows.map(({ reason }) => reason));
  };
  await two.write(() => event('first'));
  await look();
  expect(seen).toEqual(['first']);

  const slow = heldBack('slow');
  const writing = two.write(slow.operation);
  await slow.written;
  await one.write(() => event('quick'));
  await look();
  slow.release();
  await writing;
  await look();
  expect(seen).toEqual(['first', 'slow', 'quick']);
});

test('nor one whose transaction has begun later than that of one with a larger number, and goes on', async () => {
  const feed = new EventFeed(one);
  const later = heldBack('smaller number');
  let going: Promise<void> | undefined;
  // A transaction that began before has the larger number, and is over while the other goes on: none is over that began later.
  const earlier = heldBack('larger number', async () => {
    going = two.write(later.operation);
    await later.written;
  });
  earlier.release();
  await one.write(earlier.operation);
  expect(await feed.next(0)).toEqual([]);
  later.release();
  await going;
  expect((await feed.next(0)).map(({ reason }) => reason)).toEqual(['smaller number', 'larger number']);
});

test('whoever goes on from where a page has ended misses none that is committed later', async () => {
  const feed = new EventFeed(one);
  const everything = { filter: {}, order: 'newest', since: 0, until: 10, limit: 1 } as const;
  const page = async () => await eventPage(one, { ...everything, after: undefined });
  await one.write(() => event('before'));
  const before = await page();
  expect(before.lastId).toBe(Number(before.events[0]?.id));

  const slow = heldBack('slow');
  const writing = two.write(slow.operation);
  await slow.written;
  await one.write(() => event('quick'));
  const meanwhile = await page();
  expect(meanwhile.events[0]?.reason).toBe('quick');
  expect([meanwhile.lastId, await feed.lastId()]).toEqual([before.lastId, before.lastId]);
  slow.release();
  await writing;
  const missed = await feed.next(meanwhile.lastId);
  expect(missed.map(({ reason }) => reason)).toEqual(['slow', 'quick']);
  expect(await feed.lastId()).toBe(Number(missed.at(-1)?.id));
});

test('whoever follows is told of what had to wait for a transaction, though nobody says that this one is over', async () => {
  let looks = 0;
  const feed = new EventFeed({
    read: async (operation) => await one.read(operation),
    durable: async (scope) => await one.durable(scope),
    async settledEvents() {
      const settled = await one.settledEvents();
      looks++;
      return settled;
    },
  });
  const other = new Client({ connectionString: await storage.postgres.newDatabase() });
  await other.connect();
  try {
    // Of another database, of which no process of this registry hears anything.
    await other.query('begin; select pg_current_xact_id()');
    await one.write(() => event('quick'));
    expect(await feed.next(0)).toEqual([]);
    const following = feed.follow(0, { heartbeatMs: 60_000 });
    const told = following.next();
    await until('it has looked in vain', () => looks > 1);
    await other.query('rollback');
    expect((await told).value?.map(({ reason }) => reason)).toEqual(['quick']);
    feed.stop();
  } finally {
    await other.end();
  }
});

test('a process that has been started during a long transaction tells of what happens from now on, and of nothing before', async () => {
  await one.write(() => event('before'));
  const slow = heldBack('slow');
  const writing = two.write(slow.operation);
  await slow.written;
  await one.write(() => event('quick'));
  const started = await PostgresMetadataStore.open(url);
  try {
    const feed = new EventFeed(started);
    const batches = await feed.followNew({ heartbeatMs: 20 });
    slow.release();
    await writing;
    await one.write(() => event('after'));
    const reasons: (string | null)[] = [];
    for await (const rows of batches) {
      reasons.push(...rows.map(({ reason }) => reason));
      if (reasons.includes('after')) break;
    }
    expect(reasons).toEqual(['slow', 'after']);
  } finally {
    await started.close();
  }
});

test('events are followed from the page on that was printed, also of a server that was started during a long transaction', async () => {
  using directory = new TemporaryDirectory('events');
  for (const reason of ['old', 'new', 'newest']) await one.write(() => event(reason, Date.now()));
  const long = new Client({ connectionString: url });
  await long.connect();
  await long.query('begin');
  await long.query('select pg_current_xact_id()');
  const server = await startQuietServer({ data: directory.path, metadata: url, listen: '127.0.0.1:0' });
  const flags = ['--data', directory.path, '--kind', 'collector.', '-n', '2', '--json'];
  const environment = { ...process.env, WHERRY_METADATA: url };
  const child = Bun.spawn([...ownProgram(), 'events', '--follow', ...flags], { env: environment });
  try {
    const reasons: (string | undefined)[] = [];
    for await (const line of jsonLines(child.stdout)) {
      reasons.push(z.object({ reason: z.string().optional() }).parse(line).reason);
      if (reasons.length === 2) {
        await long.query('commit');
        await two.write(() => event('later', Date.now()));
      }
      if (reasons.includes('later')) break;
    }
    expect(reasons).toEqual(['new', 'newest', 'later']);
  } finally {
    child.kill();
    await child.exited;
    await server.stop();
    await long.end();
  }
});

test('the audit file has what was committed before its server ends, also while an older transaction ends', async () => {
  using directory = new TemporaryDirectory('audit');
  const path = join(directory.path, 'audit.jsonl');
  const slow = heldBack('slow');
  const feed = new EventFeed({
    read: (operation) => one.read(operation),
    durable: (what) => one.durable(what),
    async settledEvents() {
      const settled = await one.settledEvents();
      // It ends once somebody has seen that it goes on.
      if (isWritten) slow.release();
      return settled;
    },
  });
  let isWritten = false;
  const file = await auditFile(path, one, feed);
  const writing = two.write(slow.operation);
  await slow.written;
  await one.write(() => event('quick'));
  isWritten = true;
  await Promise.all([writing, file.stop()]);
  expect(reasonsIn(path)).toEqual(['slow', 'quick']);
});

test.each([
  ['lags behind it, as after a crash', (writer: string) => change(upsertAuditFile, { writer, lastId: 1 })],
  ['is of other files only', () => change(upsertAuditFile, { writer: 'another', lastId: 3 })],
])(
  'a file goes on after its own last line while a transaction is under way, where what the database remembers %s',
  async (_, remember) => {
    using directory = new TemporaryDirectory('audit');
    const path = join(directory.path, 'audit.jsonl');
    const before = await auditFile(path, one, new EventFeed(one), 'before');
    for (const reason of ['one', 'two']) await one.write(() => event(reason));
    await before.stop();
    await one.write(() => event('three'));
    await one.write(() => remember('after'));
    const slow = heldBack('slow');
    const writing = two.write(slow.operation);
    await slow.written;
    const started = await PostgresMetadataStore.open(url);
    try {
      const after = await auditFile(path, started, new EventFeed(started), 'after');
      slow.release();
      await writing;
      await after.stop();
      expect(reasonsIn(path)).toEqual(['one', 'two', 'three', 'slow']);
    } finally {
      slow.release();
      await started.close();
    }
  },
);
