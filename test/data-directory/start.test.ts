import { expect, test } from 'bun:test';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ServedRegistry } from '../http/served-registry.ts';
import { StartupError } from '../../src/startup-error.ts';

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return error;
  }
}

test('refuses a data directory that another registry is using, and says which', async () => {
  await using registry = await ServedRegistry.start();
  const error = await failureOf(registry.resume());
  expect(error).toBeInstanceOf(StartupError);
  expect(String(error)).toContain(registry.dataDirectory);
  expect(String(error)).toContain(`process ${process.pid}`);
});

test.each([
  ['objects', 'a file', 'the blobs in', 'move it away'],
  ['wherry.db', 'a file', 'the database', 'put a backup of the data directory in its place'],
  ['wherry.db', 'a directory', 'the database', 'see that this user may write there'],
  ['lock.db', 'a directory', 'the lock', 'see that this user may write there'],
])('says in words what to do where %s is %s that it cannot use', async (name, kind, step, advice) => {
  await using registry = await ServedRegistry.start();
  await registry.stop();
  const path = join(registry.dataDirectory, name);
  await rm(path, { recursive: true });
  if (kind === 'a file') await writeFile(path, 'what somebody else has put here'.repeat(1000));
  else await mkdir(path);
  const error = await failureOf(registry.resume());
  expect(error).toBeInstanceOf(StartupError);
  for (const words of [registry.dataDirectory, step, advice]) expect(String(error)).toContain(words);
});
