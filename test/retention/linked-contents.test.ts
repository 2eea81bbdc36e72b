import { afterEach, beforeEach, expect, test } from 'bun:test';
import { CountedMetadata } from '../../bench/collect/counted-metadata.ts';
import type { MetadataStore } from '../../src/metadata/store.ts';
import { digestOf, type Digest, parseDigest } from '../../src/oci/digest.ts';
import { TestedStores } from '../pairs/tested-stores.ts';
import { readLinkedContents } from '../../src/pruning/linked-contents.ts';

function digest(number: number): Digest {
  return digestOf(number % 2 === 0 ? 'sha256' : 'sha512', new TextEncoder().encode(String(number)));
}

const firstAndLast = ['0', 'f'].flatMap((digit) => parseDigest(`sha256:${digit.repeat(64)}`) ?? []);

let stores: TestedStores;
let metadata: MetadataStore;

beforeEach(async () => {
  stores = new TestedStores('linked');
  metadata = await stores.metadata();
});

afterEach(async () => {
  await stores[Symbol.asyncDispose]();
});

function link(links: readonly { readonly repo: string; readonly digest: Digest }[]): void {
  const rows = links.map((each) => `('${each.repo}', '${each.digest}', 0, 0)`);
  const insert = `insert into link (repo, digest, lease_until, created_at) values ${rows.join(', ')}`;
  stores.beside().tables.change(insert);
}

test('every content in several repositories is found among many, and hardly any other is taken for one', async () => {
  const count = 30_000;
  const isInSeveral = (number: number): boolean => number % 101 === 0;
  const numbers = Array.from({ length: count }, (_, number) => number);
  link(
    numbers.flatMap((number) =>
      (isInSeveral(number) ? ['a', 'b', 'c'] : ['a']).map((repo) => ({ repo, digest: digest(number) })),
    ),
  );
  link(firstAndLast.flatMap((one) => ['a', 'b'].map((repo) => ({ repo, digest: one }))));
  const linked = await readLinkedContents(metadata);
  expect(firstAndLast.every((one) => linked.mayBeInSeveral(one))).toBe(true);
  let taken = 0;
  for (const number of numbers) {
    if (isInSeveral(number))
      expect({ number, may: linked.mayBeInSeveral(digest(number)) }).toEqual({ number, may: true });
    else if (linked.mayBeInSeveral(digest(number))) taken += 1;
  }
  expect(taken).toBeLessThan(count / 1000);
});

test('so is one that more repositories link than are looked at in a step, and those beside it', async () => {
  const digests = Array.from({ length: 20 }, (_, number) => digest(number));
  const few = ['a', 'b'];
  const many = Array.from({ length: 1200 }, (_, number) => `r${number}`);
  link(digests.flatMap((one, at) => (at % 2 === 0 ? few : many).map((repo) => ({ repo, digest: one }))));
  const linked = await readLinkedContents(metadata);
  expect(digests.map((one) => linked.mayBeInSeveral(one))).toEqual(digests.map(() => true));
});

test('the fewer links there are, the fewer reads it takes', async () => {
  const counted = new CountedMetadata(metadata);
  await readLinkedContents(counted);
  expect(counted.take().statements).toBe(2);
  link(Array.from({ length: 1200 }, (_, number) => ({ repo: 'a', digest: digest(number) })));
  await readLinkedContents(counted);
  expect(counted.take().statements).toBe(6);
});
