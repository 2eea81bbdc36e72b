import { afterEach, beforeEach, expect, test } from 'bun:test';
import { TestedStores } from '../../test/pairs/tested-stores.ts';
import { change, type Operation } from '../metadata/operation.ts';
import { addPulls } from '../metadata/queries/history.ts';
import type { MetadataStore } from '../metadata/store.ts';
import { digestOf } from '../oci/digest.ts';
import { parseRepositoryName } from '../oci/names.ts';
import { DaysOfPulls } from './old-history.ts';

const repo = parseRepositoryName('app');

let stores: TestedStores;
let metadata: MetadataStore;
beforeEach(async () => {
  stores = new TestedStores('history');
  metadata = await stores.metadata();
});
afterEach(async () => {
  await stores[Symbol.asyncDispose]();
});

async function pulled(day: number, rows: number): Promise<void> {
  await metadata.writeUnsynced(function* (): Operation<void> {
    if (repo === undefined) return;
    for (let row = 0; row < rows; row += 1) {
      const digest = digestOf('sha256', new TextEncoder().encode(String(row)));
      yield* change(addPulls, { repo, digest, tag: '', day, pulls: 1, at: 0 });
    }
  });
}

test('the oldest days are given up where the rows of pulls become too many, and the days that are over are counted once', async () => {
  const days = new DaysOfPulls(10);
  await pulled(1, 4);
  await pulled(2, 4);
  expect(await days.firstKept({ metadata }, 3)).toBe(0);
  await pulled(3, 2);
  expect(await days.firstKept({ metadata }, 3)).toBe(0);
  await pulled(3, 3);
  expect(await days.firstKept({ metadata }, 3)).toBe(2);
  await pulled(4, 9);
  expect(await days.firstKept({ metadata }, 4)).toBe(4);
});

test('a day with many pulls is counted in steps, so that no request waits for all of it', async () => {
  await pulled(1, 9);
  await pulled(2, 8);
  let reads = 0;
  const read: MetadataStore['read'] = async (operation) => {
    reads += 1;
    return await metadata.read(operation);
  };
  expect(await new DaysOfPulls(17, 4).firstKept({ metadata: { read } }, 3)).toBe(0);
  // Three for which days there are; of each day three for its rows four by four, and one for what is left.
  expect(reads).toBe(3 + 4 + 4);
  expect(await new DaysOfPulls(16, 4).firstKept({ metadata }, 3)).toBe(2);
});
