import { afterEach, beforeEach, expect, test } from 'bun:test';
import { existsSync, symlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { withLock } from './lock-file.mjs';

let directory = '';
let lock = '';

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'wherry-lock-'));
  lock = path.join(directory, 'lock');
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

test('two set-ups side by side follow one another', async () => {
  const events = [];
  const setUp = async (name) => {
    events.push(`${name} begins`);
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    events.push(`${name} ends`);
  };
  await Promise.all([withLock(lock, () => setUp('one')), withLock(lock, () => setUp('two'))]);
  expect(events).toEqual(['one begins', 'one ends', 'two begins', 'two ends']);
});

test('the lock of a set-up that was killed is taken over', async () => {
  const killed = Bun.spawn(['true']);
  await killed.exited;
  symlinkSync(`${hostname()}:${killed.pid}`, lock);
  expect(await withLock(lock, () => Promise.resolve('done'))).toBe('done');
});

test('a set-up that fails gives the lock back', async () => {
  await expect(withLock(lock, () => Promise.reject(new Error('no network')))).rejects.toThrow('no network');
  expect(existsSync(lock)).toBe(false);
});
