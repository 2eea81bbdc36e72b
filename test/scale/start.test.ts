import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '../../src/log/log.ts';
import { openStores } from '../../src/stores/stores.ts';
import { StartupError } from '../../src/startup-error.ts';
import { type PostgresServer, startPostgres } from './postgres-server.ts';

let postgres: PostgresServer;
let directory: string;

beforeAll(async () => {
  postgres = await startPostgres();
  directory = mkdtempSync(join(tmpdir(), 'wherry-start-'));
}, 120_000);

afterAll(async () => {
  await postgres.stop();
  rmSync(directory, { recursive: true });
});

async function refusalAt(change: (url: URL) => void): Promise<string> {
  const url = new URL(await postgres.newDatabase());
  url.password = 'not-to-be-shown';
  change(url);
  const log = await createLog({ level: 'error', format: 'json' });
  try {
    const stores = await openStores({ data: directory, metadata: { kind: 'postgres', url: url.href } }, log);
    await stores.close();
  } catch (error) {
    if (error instanceof StartupError) return error.message;
    throw error;
  }
  return 'it started';
}

test.each<[string, (url: URL) => void, string]>([
  ['that is not there', (url) => (url.pathname = '/missing'), 'create database'],
  ['that does not run', (url) => (url.port = '1'), 'see that it runs'],
  ['that has no TLS', (url) => (url.search = '?sslmode=verify-full'), 'TLS switched on'],
  ['that does not know the user', (url) => (url.username = 'nobody'), 'mend the user or the password'],
])('a database %s keeps it from starting, with what to do, and no password is shown', async (_, change, advice) => {
  const refusal = await refusalAt(change);
  expect(refusal).toContain(advice);
  expect(refusal).not.toContain('not-to-be-shown');
});

test('a database that is there is used', async () => {
  expect(await refusalAt(() => undefined)).toBe('it started');
});
