import { expect, test } from 'bun:test';
import { untilAnswered } from './lines.ts';

test('it is told how far something long has come until its answer is there', async () => {
  const { promise, resolve } = Promise.withResolvers<{ answer: number }>();
  const lines = untilAnswered((onProgress) => {
    onProgress({ name: 'blobs', done: 1 });
    onProgress({ name: 'blobs', done: 2 });
    return promise;
  });
  expect((await lines.next()).value).toEqual({ progress: { name: 'blobs', done: 2 } });
  expect((await lines.next()).value).toEqual({ progress: { name: 'blobs', done: 2 } });
  resolve({ answer: 3 });
  expect((await lines.next()).value).toEqual({ answer: 3 });
  expect((await lines.next()).done).toBe(true);
});

test('a refusal is the last line', async () => {
  const lines = untilAnswered(async () => ({ problem: { code: 'NAME_UNKNOWN', message: 'there is none' } }));
  expect(await Array.fromAsync(lines)).toEqual([
    { errors: [{ code: 'NAME_UNKNOWN', message: 'there is none', detail: {} }] },
  ]);
});
