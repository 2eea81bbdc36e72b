import { expect, test } from 'bun:test';
import { TestedStores } from '../../test/pairs/tested-stores.ts';
import { systemClock } from './clock.ts';
import { StoreGeneration } from './store-generation.ts';

test('that somebody else has accepted a database which is older than the blobs is seen at the next look', async () => {
  await using stores = new TestedStores('generation');
  const [metadata, blobs] = [await stores.metadata(), await stores.blobs()];
  await blobs.setGeneration(7);
  const parts = { metadata, blobs, clock: systemClock };
  const [one, other] = [await StoreGeneration.open(parts), await StoreGeneration.open(parts)];
  expect([one.isDatabaseOutdated, await one.isAccepted()]).toEqual([true, false]);
  await other.settle(7);
  expect([one.isDatabaseOutdated, await one.isAccepted()]).toEqual([true, true]);
  expect(one.isDatabaseOutdated).toBe(false);
  await one.beforeRemoval();
});
