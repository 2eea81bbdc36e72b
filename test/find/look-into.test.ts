import { expect, test } from 'bun:test';
import { archive, chunked, file } from './archives.ts';
import { lookInto, type LookNews } from '../../src/find/look-into.ts';

const wanted = { patterns: ['.env'], ignoresCase: false, maxLayerBytes: 1024 ** 3 };
const layer = archive(...Array.from({ length: 1000 }, (_, index) => file(`${index}/.env`)));

async function newsOf(chunks: AsyncGenerator<Uint8Array, void, undefined>): Promise<readonly LookNews[]> {
  return await Array.fromAsync(lookInto(chunks, wanted));
}

test('no more than a few entries are told of at once, and each once', async () => {
  const news = await newsOf(chunked(layer, 10_000));
  expect(Math.max(...news.map(({ found }) => found.length))).toBeLessThanOrEqual(200);
  expect(news.flatMap(({ found }) => found.map(({ path }) => path))).toEqual(
    Array.from({ length: 1000 }, (_, index) => `${index}/.env`),
  );
  expect(news.reduce((sum, { readBytes }) => sum + readBytes, 0)).toBe(layer.byteLength);
  expect(news.map(({ end }) => end?.kind).filter((kind) => kind !== undefined)).toEqual(['whole']);
});

test('whoever ends the look ends what is read', async () => {
  let hasEnded = false;
  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* chunked(layer, 100_000);
    } finally {
      hasEnded = true;
    }
  }
  for await (const { found } of lookInto(chunks(), wanted)) {
    expect(found).toHaveLength(200);
    break;
  }
  expect(hasEnded).toBe(true);
});
