import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Operation } from '../metadata/operation.ts';
import { SqliteMetadataStore } from '../metadata/sqlite/store.ts';
import { requestActor } from '../registry/actor.ts';
import { recordEvent } from '../registry/events.ts';
import { EventFeed } from './event-feed.ts';
import { eventPage } from './event-page.ts';

const actor = requestActor({ who: 'client', address: undefined, userAgent: undefined, requestId: undefined });

let directory: string;
/** With commits that wait for nothing: on PostgreSQL, test/scale/events.test.ts has what is told of them. */
let metadata: SqliteMetadataStore;
/** How often the database's log was synced. */
let syncs: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'wherry-feed-'));
  syncs = 0;
  metadata = SqliteMetadataStore.open(directory, {
    calls: {
      syncLog(_descriptor, done) {
        syncs++;
        setImmediate(done, null);
      },
    },
  });
});

afterEach(async () => {
  await metadata.close();
  rmSync(directory, { recursive: true });
});

const firstPage = { order: 'newest', since: 0, until: 2, after: undefined, limit: 1 } as const;

test.each([
  ['event', async () => (await new EventFeed(metadata).next(0)).map(({ id }) => id)],
  ['number', async () => [await new EventFeed(metadata).lastId()]],
  ['page', async () => [(await eventPage(metadata, { ...firstPage, filter: {} })).lastId]],
])(
  'no %s is told of before it is on the disk, also where nobody was waiting for that: after a power cut another would have its number',
  async (_, told) => {
    await metadata.writeUnsynced(() => recordEvent({ at: 1, kind: 'login.refused', actor, result: 'refused' }));
    expect(syncs).toBe(0);
    expect(await told()).toEqual([1]);
    expect(syncs).toBe(1);
  },
);

async function happen(reason: string): Promise<void> {
  await metadata.write(() => recordEvent({ at: 1, kind: 'collector.paused', actor, reason }));
}

/** The feed's database, where something is done at each look for settled events, and after each read. */
function seen(beside: { looked?: () => Promise<void>; read?: () => Promise<void>; settled?: number }) {
  return {
    async read<T>(operation: () => Operation<T>) {
      const result = await metadata.read(operation);
      await beside.read?.();
      return result;
    },
    durable: async () => await metadata.durable('all'),
    async settledEvents() {
      await beside.looked?.();
      return beside.settled ?? (await metadata.settledEvents());
    },
  };
}

test('who follows has heartbeats while nothing happens, also where other commits never cease', async () => {
  const feed = new EventFeed(seen({ looked: async () => feed.notice() }));
  const following = feed.follow(0, { heartbeatMs: 200 });
  expect([await following.next(), await following.next()].map(({ value }) => value)).toEqual([[], []]);
  feed.stop();
});

test('and while what has happened has to wait for a transaction', async () => {
  await happen('waits');
  const beside = { settled: 0 };
  const feed = new EventFeed(seen(beside));
  const following = feed.follow(0, { heartbeatMs: 200 });
  expect((await following.next()).value).toEqual([]);
  beside.settled = 1;
  for await (const rows of following) {
    if (rows.length === 0) continue;
    expect(rows.map(({ reason }) => reason)).toEqual(['waits']);
    break;
  }
});

test('and while much happens that was not asked for', async () => {
  const looked = async () => {
    await happen('not asked for');
    feed.notice();
  };
  const feed = new EventFeed(seen({ looked }));
  const following = feed.follow(0, { heartbeatMs: 200, isAskedFor: () => false });
  expect((await following.next()).value).toEqual([]);
  feed.stop();
});

test.each([
  [
    'an event',
    ['just then'],
    async (feed: EventFeed) => {
      await happen('just then');
      feed.notice();
    },
  ],
  ['the end of the feed', undefined, async (feed: EventFeed) => feed.stop()],
])('who follows misses not %s that comes just as it was seen that there is nothing', async (_, told, come) => {
  let reads = 0;
  const read = async () => {
    // The first is for the next events, the second whether there are any.
    if (++reads === 2) await come(feed);
  };
  const feed = new EventFeed(seen({ read }));
  const { value } = await feed.follow(0, { heartbeatMs: 3_600_000 }).next();
  expect(value?.map(({ reason }) => reason)).toEqual(told);
});
