import { afterEach, beforeEach, expect, test } from 'bun:test';
import { EventFeed } from '../../src/audit/event-feed.ts';
import { eventPage } from '../../src/audit/event-page.ts';
import type { Operation, Step } from '../../src/metadata/operation.ts';
import { PostgresMetadataStore } from '../../src/metadata/postgres/store.ts';
import { startActor } from '../../src/registry/actor.ts';
import { recordEvent } from '../../src/registry/events.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres });

let one: PostgresMetadataStore;
let two: PostgresMetadataStore;

beforeEach(async () => {
  const url = await storage.postgres.newDatabase();
  one = await PostgresMetadataStore.open(url);
  two = await PostgresMetadataStore.open(url);
});

afterEach(async () => {
  await Promise.all([one.close(), two.close()]);
});

function event(reason: string): Operation<void> {
  return recordEvent({ at: 1, kind: 'collector.paused', actor: startActor, reason });
}

/** An operation that has written its event, and is not over before it is told to be. */
function heldBack(reason: string) {
  const [written, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const hold: Step = {
    execute: () => undefined,
    async executeLater() {
      written.resolve();
      await release.promise;
    },
  };
  function* operation(): Operation<void> {
    yield* event(reason);
    yield hold;
  }
  return { operation, written: written.promise, release: () => release.resolve() };
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
