import { expect, test } from 'bun:test';
import { decide, digestFor, repositoryFacts, policyOf, now } from '../../test/retention/facts.ts';
import { evaluate } from './evaluate.ts';
import { nameOf } from './facts.ts';
import { freedBytes, freedOneByOne } from './freed.ts';
import { inOrderOfPruning, withinRails, type RepositoryDay } from './rails.ts';

const fresh: RepositoryDay = { tags: 10, sizeBytes: 1000, prunedTags: 0, prunedBytes: 0 };
const shares = { tagsPerDay: 0.2, bytesPerDay: 0.2 };

/** Tags that free so many bytes each. */
function tags(...frees: readonly number[]) {
  return frees.map((freesBytes) => ({ isTag: true, freesBytes }));
}

function goesOf(rails: typeof shares, day: RepositoryDay, ...frees: readonly number[]): number {
  const removals = tags(...frees);
  const { goes, waits } = withinRails(rails, day, removals);
  expect([...goes, ...waits]).toEqual(removals);
  return goes.length;
}

test('a share of the tags may go in a day', () => {
  expect(goesOf(shares, fresh, 1, 1, 1)).toBe(2);
  expect(goesOf({ ...shares, tagsPerDay: 1 }, fresh, 1, 1, 1)).toBe(3);
  expect(goesOf({ ...shares, tagsPerDay: 0.07 }, { ...fresh, tags: 100 }, 1, 1, 1, 1, 1, 1, 1, 1)).toBe(7);
});

test('the share counts from what there was before the day began', () => {
  expect(goesOf(shares, { ...fresh, tags: 9, prunedTags: 1 }, 1, 1, 1)).toBe(1);
  expect(goesOf(shares, { ...fresh, tags: 8, prunedTags: 2 }, 1, 1, 1)).toBe(0);
});

test('one tag a day may always go, but for a share of 0', () => {
  expect(goesOf(shares, { ...fresh, tags: 3 }, 1, 1)).toBe(1);
  expect(goesOf(shares, { ...fresh, tags: 2, prunedTags: 1 }, 1, 1)).toBe(0);
  expect(goesOf({ ...shares, tagsPerDay: 0 }, fresh, 1)).toBe(0);
});

test('a share of the bytes may go in a day, up to its last byte', () => {
  expect(goesOf({ ...shares, tagsPerDay: 1 }, fresh, 100, 100, 1)).toBe(2);
  expect(goesOf({ ...shares, tagsPerDay: 1 }, fresh, 100, 101)).toBe(1);
  expect(goesOf({ ...shares, tagsPerDay: 1 }, { ...fresh, sizeBytes: 900, prunedBytes: 100 }, 100, 100)).toBe(1);
});

test('the first bytes of a day may always go, but for a share of 0', () => {
  expect(goesOf({ ...shares, tagsPerDay: 1 }, fresh, 900, 1)).toBe(1);
  expect(goesOf({ tagsPerDay: 1, bytesPerDay: 0 }, fresh, 1)).toBe(0);
});

test('what frees nothing is not held up by the bytes', () => {
  expect(goesOf({ ...shares, tagsPerDay: 1 }, fresh, 900, 0, 0)).toBe(3);
  expect(goesOf({ tagsPerDay: 1, bytesPerDay: 0 }, fresh, 0)).toBe(1);
});

test('nothing goes past something that waits, because what it frees was computed after that', () => {
  expect(goesOf({ ...shares, tagsPerDay: 1 }, fresh, 100, 200, 1)).toBe(1);
});

test('untagged manifests count for the bytes only', () => {
  const untagged = { isTag: false, freesBytes: 50 };
  expect(
    withinRails(
      shares,
      fresh,
      Array.from({ length: 5 }, () => untagged),
    ).goes.length,
  ).toBe(4);
  expect(withinRails(shares, fresh, [...tags(10, 10), untagged, ...tags(10)]).waits).toEqual(tags(10));
});

test('the least recently used goes first, and of the same time the lesser name', () => {
  const policy = policyOf({ repositories: '**', default: 'prune', rails: { mayPruneLastTag: true } });
  const facts = repositoryFacts({
    tags: { b: {}, a: {}, used: { pulled: '1h' }, kept: { isPinned: true }, older: { pushed: '200d', pulled: '150d' } },
  });
  const order = inOrderOfPruning(evaluate(policy, facts, now).verdicts);
  expect(order.map(({ item }) => nameOf(item))).toEqual(['older', 'a', 'b', 'used']);
});

test('bytes that several tags hold are freed by the last of them to go', () => {
  const verdicts = decide(
    { repositories: '**', default: 'prune', rails: { mayPruneLastTag: true } },
    { tags: { one: { contents: { base: 100, one: 10 } }, two: { contents: { base: 100, two: 20, held: 5 } } } },
  );
  const items = [...verdicts.values()].map(({ item }) => item);
  const outside = (digest: string): number => (digest === digestFor('held') ? 1 : 0);
  expect(freedOneByOne(items, outside)).toEqual([
    { sizeBytes: 10, blobs: 1 },
    { sizeBytes: 120, blobs: 2 },
  ]);
  expect(freedBytes(items, outside)).toEqual({ sizeBytes: 130, blobs: 3 });
  expect(freedBytes(items.slice(0, 1), (digest) => (digest === digestFor('base') ? 1 : 0))).toEqual({
    sizeBytes: 10,
    blobs: 1,
  });
});

test('content that one tag names twice is freed once', () => {
  const content = { digest: digestFor('same'), sizeBytes: 7 };
  expect(freedBytes([{ contents: [content, content] }], () => 0)).toEqual({ sizeBytes: 7, blobs: 1 });
});
