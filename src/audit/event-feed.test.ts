import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
