import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdir, mkdtemp, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StartupError } from '../../src/startup-error.ts';
import { freshBytes } from '../http/content.ts';
import { ServedRegistry, type Settings } from '../http/served-registry.ts';

let data: string;

beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'wherry-start-'));
});

afterEach(async () => {
  await rm(data, { recursive: true });
});

/** What the operator is told, in place of a stack trace. */
async function refusalOf(settings: Settings): Promise<string> {
  try {
    await using registry = await ServedRegistry.start({ data, ...settings });
    return `serves at ${registry.origin}`;
  } catch (error) {
    expect(error).toBeInstanceOf(StartupError);
    return error instanceof StartupError ? error.message : '';
  }
}

test('a database that is none is to be replaced by a backup', async () => {
  const path = join(data, 'wherry.db');
  await writeFile(path, freshBytes(10_000));
  const refusal = await refusalOf({});
  expect(refusal).toContain(path);
  expect(refusal).toContain('backup');
});

test('a database that is damaged inside is to be replaced by a backup', async () => {
  const path = join(data, 'wherry.db');
  const database = new Database(path, { create: true });
  database.run('create table manifest (a)');
  database.close();
  const bytes = new Uint8Array(await Bun.file(path).arrayBuffer());
  await writeFile(path, bytes.fill(7, 100));
  expect(await refusalOf({})).toMatch(/SQLITE_CORRUPT.*backup/);
});

test('a server that shall not collect, and has nobody who would, is refused', async () => {
  expect(await refusalOf({ 'collector.run': 'off' })).toContain('leave it on');
});

test('a lock that is damaged is to be removed', async () => {
  const path = join(data, 'lock.db');
  await writeFile(path, freshBytes(10_000));
  const refusal = await refusalOf({});
  expect(refusal).toContain(path);
  expect(refusal).toContain('remove it');
});

test('something else at the place of the database or of the blobs is named', async () => {
  await mkdir(join(data, 'wherry.db'));
  expect(await refusalOf({})).toContain(`${join(data, 'wherry.db')} (SQLITE_CANTOPEN`);
  await rmdir(join(data, 'wherry.db'));
  await writeFile(join(data, 'objects'), '');
  expect(await refusalOf({})).toContain(`${join(data, 'objects')} (ENOTDIR`);
});

test('a database of another program is not taken for one of its own', async () => {
  const path = join(data, 'wherry.db');
  const database = new Database(path, { create: true });
  database.run('create table manifest (a)');
  database.close();
  expect(await refusalOf({})).toMatch(/wherry\.db .*table manifest already exists.*--data/);
});

test('a data directory that is a file, or in one, is told to be no directory', async () => {
  const file = join(data, 'file');
  await writeFile(file, '');
  for (const path of [file, join(file, 'data')]) {
    expect(await refusalOf({ data: path })).toContain(`${path} is not a directory`);
  }
});

test('a host that is not this machine is told to be none of its addresses', async () => {
  for (const host of ['nosuchhost.invalid', '999.1.1.1', '192.0.2.1']) {
    const refusal = await refusalOf({ listen: `${host}:0`, 'auth.anonymous': 'all' });
    expect(refusal).toContain(host);
    expect(refusal).toContain('not an address of this machine');
    expect(refusal).not.toContain('in use');
  }
});

test('a host may be a name of this machine', async () => {
  expect(await refusalOf({ listen: 'localhost:0' })).toStartWith('serves at http://localhost:');
});
