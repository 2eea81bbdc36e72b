import { expect } from 'bun:test';
import type { BlobStore } from '../../src/blobs/store.ts';

/** Has two processes set many numbers at once, in the worst order, and expects the greatest to stay. */
export async function expectGreatestToStay(store: BlobStore, other: BlobStore): Promise<void> {
  const numbers = Array.from({ length: 30 }, (_unused, index) => index + 1).toReversed();
  await Promise.all(numbers.map((number) => (number % 2 === 0 ? store : other).setGeneration(number)));
  expect(await store.generation()).toBe(30);
}
