import { afterEach, beforeEach, expect, test } from 'bun:test';
import { TestedStores } from '../pairs/tested-stores.ts';
import { all } from '../../src/metadata/operation.ts';
import { quotasInForce } from '../../src/metadata/queries/quotas.ts';
import type { MetadataStore } from '../../src/metadata/store.ts';
import { putInForce } from '../../src/quotas/in-force.ts';
import { QuotaSet } from '../../src/quotas/quota-set.ts';

let stores: TestedStores;
let metadata: MetadataStore;

beforeEach(async () => {
  stores = new TestedStores('quotas');
  metadata = await stores.metadata();
});

afterEach(async () => {
  await stores[Symbol.asyncDispose]();
});

function setOf(...globs: readonly string[]): QuotaSet {
  const parsed = QuotaSet.parse(globs.map((repositories) => ({ repositories, tags: { hard: 1 } })));
  if (!parsed.ok) throw new Error(parsed.problems.join());
  return parsed.set;
}

async function numbers(): Promise<readonly number[]> {
  return (await metadata.read(() => all(quotasInForce, {}))).map(({ number }) => number);
}

test('quotas are put in force once, also where no repository comes to some of them', async () => {
  const set = setOf('a', 'a', 'a');
  expect(await putInForce(metadata, set)).toBe(true);
  expect(await numbers()).toHaveLength(3);
  expect(await putInForce(metadata, set)).toBe(false);
});

test('what is counted of a quota keeps its number as long as it is for the same repositories', async () => {
  await putInForce(metadata, setOf('a', 'b'));
  const [first] = await numbers();
  await putInForce(metadata, setOf('a', 'z'));
  expect((await numbers())[0]).toBe(first);
  await putInForce(metadata, setOf('z', 'a'));
  expect(await numbers()).not.toContain(first);
  await putInForce(metadata, setOf('a', 'b'));
  // What was counted before was not counted on meanwhile.
  expect(await numbers()).not.toContain(first);
});
