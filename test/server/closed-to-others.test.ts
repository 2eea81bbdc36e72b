import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '../../src/log/log.ts';
import { openStores } from '../../src/stores/stores.ts';
import { closeToOthers } from '../../src/stores/closed-to-others.ts';

let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'wherry-modes-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function rightsOfOthers(file: string): number {
  return statSync(join(directory, file)).mode & 0o007;
}

test('a database is closed to others, in a directory that everybody may read, and so are the files beside it', async () => {
  chmodSync(directory, 0o755);
  const stores = await openStores(
    { data: directory, metadata: { kind: 'sqlite' } },
    await createLog({ level: 'error', format: 'json' }),
  );
  const files = ['wherry.db', 'wherry.db-wal', 'wherry.db-shm'];
  expect(files.map((file) => rightsOfOthers(file))).toEqual([0, 0, 0]);
  await stores.close();
});

test('so is one that was open to them before; its group keeps what it may', () => {
  const path = join(directory, 'old.db');
  new Database(path, { create: true }).close();
  chmodSync(path, 0o664);
  closeToOthers(path);
  expect(statSync(path).mode & 0o777).toBe(0o660);
});

test('what is not there is no matter', () => {
  expect(() => closeToOthers(join(directory, 'none.db'))).not.toThrow();
});
