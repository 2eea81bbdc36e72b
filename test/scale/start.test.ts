import { expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openStores } from '../../src/stores/stores.ts';
import { StartupError } from '../../src/startup-error.ts';
import { wherry } from '../admin/wherry.ts';
import { PostgresTables } from '../pairs/tables.ts';
import { logOfErrors } from '../server/quiet-server.ts';
import { TemporaryDirectory } from '../server/temporary-directory.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres });

async function refusalAt(change: (url: URL) => void): Promise<string> {
  const url = new URL(await storage.postgres.newDatabase());
  url.password = 'not-to-be-shown';
  change(url);
  using directory = new TemporaryDirectory('start');
  try {
    const stores = await openStores(
      { data: directory.path, metadata: { kind: 'postgres', url: url.href } },
      await logOfErrors(),
    );
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

test.each([{ args: ['readonly', 'on', '--reason', 'a typo'] }, { args: ['status'] }])(
  'a command makes no registry in a database that has none: $args',
  async ({ args }) => {
    using directory = new TemporaryDirectory('start');
    const url = await storage.postgres.newDatabase();
    const config = join(directory.path, 'wherry.yaml');
    writeFileSync(config, `metadata: ${url}\n`);
    const { err, code } = await wherry(join(directory.path, 'data'), ...args, '--config', config);
    expect(code).not.toBe(0);
    expect(err).toContain('there is no registry in the database');
    expect(PostgresTables.at(url).names()).toEqual([]);
  },
);
