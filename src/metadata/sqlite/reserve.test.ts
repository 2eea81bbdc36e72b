import { afterEach, beforeEach, expect, test } from 'bun:test';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Reserve } from './reserve.ts';

const mebibyte = 1024 * 1024;

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'wherry-reserve-'));
  path = join(directory, 'reserve');
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

test('a reserve takes its room for good: it has no holes, and no file system can make it smaller', async () => {
  await new Reserve(directory).make();
  const { size, blocks } = statSync(path);
  expect(size).toBe(8 * mebibyte);
  expect(blocks * 512).toBeGreaterThanOrEqual(size);
  expect(gzipSync(readFileSync(path), { level: 1 }).byteLength).toBeGreaterThanOrEqual(size);
});

test('a reserve is not made where it would fill the disk', async () => {
  let freeBytes = 9 * mebibyte;
  const reserve = new Reserve(directory, { freeBytes: async () => freeBytes });
  await reserve.make();
  expect(existsSync(path)).toBe(false);
  freeBytes = 10 * mebibyte;
  await reserve.make();
  expect(existsSync(path)).toBe(true);
});

test('a reserve is given up at once, says so, and can be made again', async () => {
  let released = 0;
  const reserve = new Reserve(directory, { onReleased: () => released++ });
  await reserve.make();
  expect([reserve.release(), existsSync(path), released]).toEqual([true, false, 1]);
  expect([reserve.release(), existsSync(path), released]).toEqual([false, false, 1]);
  await reserve.make();
  expect(statSync(path).size).toBe(8 * mebibyte);
});

test('a reserve that is given up while it is being made is not made', async () => {
  const reserve = new Reserve(directory);
  const making = reserve.make();
  while (!existsSync(path)) await new Promise(setImmediate);
  reserve.release();
  await making;
  expect(existsSync(path)).toBe(false);
});

test('a reserve that an earlier process left is kept, and made whole where it was not', async () => {
  await new Reserve(directory).make();
  const { ino, mtimeMs } = statSync(path);
  await new Reserve(directory).make();
  expect(statSync(path)).toMatchObject({ ino, mtimeMs });
  writeFileSync(path, 'only begun');
  await new Reserve(directory).make();
  expect(statSync(path).size).toBe(8 * mebibyte);
});

test('a reserve that cannot be made keeps nobody from going on, and is told of', async () => {
  mkdirSync(path);
  const problems: unknown[] = [];
  const reserve = new Reserve(directory, { onProblem: (error) => problems.push(error) });
  reserve.start();
  await reserve.stop();
  expect(problems).toEqual([expect.objectContaining({ code: 'EISDIR' })]);
  expect(reserve.release()).toBe(false);
});
