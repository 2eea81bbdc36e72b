import { afterAll, beforeAll, expect, test } from 'bun:test';
import { EventFeed } from '../../src/audit/event-feed.ts';
import type { Operation, Step } from '../../src/metadata/operation.ts';
import { PostgresMetadataStore } from '../../src/metadata/postgres/store.ts';
import { startActor } from '../../src/registry/actor.ts';
import { recordEvent } from '../../src/registry/events.ts';
import { type PostgresServer, startPostgres } from './postgres-server.ts';

let postgres: PostgresServer;
let one: PostgresMetadataStore;
let two: PostgresMetadataStore;

beforeAll(async () => {
  postgres = await startPostgres();
  const url = await postgres.newDatabase();
  one = await PostgresMetadataStore.open(url);
  two = await PostgresMetadataStore.open(url);
}, 120_000);

afterAll(async () => {
  await Promise.all([one.close(), two.close()]);
  await postgres.stop();
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
