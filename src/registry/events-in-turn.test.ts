import { expect, test } from 'bun:test';
import { TestedStores } from '../../test/pairs/tested-stores.ts';
import { createLog } from '../log/log.ts';
import { all } from '../metadata/operation.ts';
import { eventsAfter } from '../metadata/queries/events.ts';
import type { MetadataStore } from '../metadata/store.ts';
import { requestActor } from './actor.ts';
import { EventsInTurn } from './events-in-turn.ts';

const actor = requestActor({ who: 'client', address: undefined, userAgent: undefined, requestId: undefined });

/** Has events written to a store, of which the first write waits for `held`, and may fail then. @returns what is there in the end */
async function scene(
  use: (events: EventsInTurn, held: PromiseWithResolvers<void>) => Promise<void>,
  isFailing = false,
) {
  await using stores = new TestedStores('events');
  const logged: string[] = [];
  const log = await createLog({ level: 'warn', format: 'json', stream: { write: (line) => void logged.push(line) } });
  const metadata = await stores.metadata();
  const held = Promise.withResolvers<void>();
  let writes = 0;
  const writeUnsynced: MetadataStore['writeUnsynced'] = async (operation, options) => {
    if (++writes === 1) {
      await held.promise;
      if (isFailing) throw new Error('the disk is full');
    }
    return await metadata.writeUnsynced(operation, options);
  };
  await use(new EventsInTurn({ metadata: { writeUnsynced }, log }), held);
  const rows = await metadata.read(() => all(eventsAfter, { id: 0, upTo: Number.MAX_SAFE_INTEGER, limit: 100 }));
  return { reasons: rows.map(({ reason }) => reason), writes, logged };
}

function add(events: EventsInTurn, ...reasons: readonly string[]): void {
  for (const reason of reasons) events.add({ at: 1, kind: 'login.refused', actor, reason, result: 'refused' });
}

test('events are written in their order, however long a write takes, and those that come meanwhile together', async () => {
  const { reasons, writes } = await scene(async (events, held) => {
    add(events, 'one', 'two', 'three');
    held.resolve();
    await events.idle();
    add(events, 'four');
    await events.idle();
  });
  expect(reasons).toEqual(['one', 'two', 'three', 'four']);
  expect(writes).toBe(3);
});

test('what cannot be written is said in the log, and what comes after it is written', async () => {
  const { reasons, logged } = await scene(async (events, held) => {
    add(events, 'one', 'two');
    held.resolve();
    await events.idle();
  }, true);
  expect(reasons).toEqual(['two']);
  expect(logged).toHaveLength(1);
  expect(logged[0]).toContain('"kinds":["login.refused"]');
});
