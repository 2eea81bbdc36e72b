import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { Client } from 'pg';
import { migrations } from '../../src/metadata/migrations/all.ts';
import { migrate } from '../../src/metadata/postgres/migrate.ts';
import { freePort } from '../server/free-port.ts';
import { ServerProcess } from '../server/server-process.ts';
import { TemporaryDirectory } from '../server/temporary-directory.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres });
const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');
const processes = 10;

test.each([
  { before: 'nothing', steps: [] },
  { before: 'the schema of the version before', steps: migrations.slice(0, -1) },
])(
  'ten processes that start at once on a database with $before are all ready, and each migration has run once',
  async ({ steps }) => {
    using directory = new TemporaryDirectory('ten');
    const metadata = await storage.postgres.newDatabase();
    const database = new Client({ connectionString: metadata });
    await database.connect();
    if (steps.length > 0) await migrate(database, { steps });
    const logs = Array.from({ length: processes }, (_unused, index) => join(directory.path, `${index}.log`));
    const starting = logs.map((log) => {
      const port = freePort();
      const flags = ['--data', join(directory.path, 'data'), '--listen', `127.0.0.1:${port}`, '--log-format', 'json'];
      const command: [string, ...string[]] = [process.execPath, main, 'serve', ...flags];
      return ServerProcess.start(port, log, { command, environment: { WHERRY_METADATA: metadata } });
    });
    const started = await Promise.allSettled(starting);
    await using _all = new AsyncDisposableStack();
    for (const each of started) if (each.status === 'fulfilled') _all.use(each.value);
    expect(started.filter(({ status }) => status === 'rejected')).toEqual([]);
    const ready = await Promise.all(
      started.map(async (each) =>
        each.status === 'fulfilled' ? (await fetch(`${each.value.origin}/readyz`)).status : 0,
      ),
    );
    expect(ready).toEqual(ready.map(() => 200));

    const { rows } = await database.query<{ number: string }>(
      'select number from schema_migration order by at, number',
    );
    expect(rows.map(({ number }) => Number(number))).toEqual(migrations.map(({ number }) => number));
    await database.end();
    for (const each of started) if (each.status === 'fulfilled') expect(await each.value.stop()).toBe(0);
    for (const log of logs) expect(await Bun.file(log).text()).not.toMatch(/"level":"?(warn|error|fatal|[456]0)/);
  },
  120_000,
);
