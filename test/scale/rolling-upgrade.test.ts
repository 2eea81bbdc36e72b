import { afterAll, beforeAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import { migrations } from '../../src/metadata/migrations/all.ts';
import { PostgresTables } from '../pairs/tables.ts';
import { ServerProcess } from '../server/server-process.ts';
import { until } from '../server/until.ts';
import { freePort } from '../server/free-port.ts';
import { TemporaryDirectory } from '../server/temporary-directory.ts';
import { startPostgres } from './postgres-server.ts';
import { previousVersion, type Version } from './previous-version.ts';
import { StorageServers } from './storage-servers.ts';

const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');
const newest = migrations.at(-1)?.number;

const storage = new StorageServers({ postgres: startPostgres });
let previous: Version;

beforeAll(async () => {
  previous = await previousVersion();
}, 300_000);

afterAll(() => {
  previous[Symbol.dispose]();
});

test('the version before the newest migration serves, and starts again, while a process of this one migrates: nothing is lost, and nobody is refused', async () => {
  using directory = new TemporaryDirectory('upgrade');
  const metadata = await storage.postgres.newDatabase();
  const tables = PostgresTables.at(metadata);
  const schema = () => tables.rows<{ number: number }>('select max(number) as number from schema_migration')[0]?.number;
  const [oldPort, newPort] = [freePort(), freePort()];
  const start = (program: readonly [string, ...string[]], port: number, name: string) =>
    ServerProcess.start(port, join(directory.path, `${name}.log`), {
      command: [...program, 'serve', '--data', join(directory.path, 'data'), '--listen', `127.0.0.1:${port}`],
      environment: { WHERRY_METADATA: metadata, WHERRY_WINDOWS_LEASE: '2s', WHERRY_WINDOWS_TRASH: '100ms' },
    });
  const old = await start(previous.command, oldPort, 'old');
  expect(schema()).toBe(previous.schema);
  expect(previous.schema).toBeLessThan(newest ?? 0);

  // One of its doors opens while it goes on.
  const doors = [oldPort, newPort].map((port) => `http://127.0.0.1:${port}`);
  const load = ['--duration=30s', '--lease=1s', '--clients=4', '--allow-down', '--delete-tags'];
  const storm = Bun.spawn([process.execPath, main, 'storm', ...doors, ...load], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const pushed = () => tables.rows<{ count: number }>('select count(*) as count from tag')[0]?.count ?? 0;
  await until('the storm is at work on the previous version', () => pushed() > 20, 30_000);
  await using _new = await start([process.execPath, main], newPort, 'new');
  expect(schema()).toBe(newest);
  const changes = () => tables.rows<{ last: number }>('select max(id) as last from event')[0]?.last ?? 0;
  const before = changes();
  await until('it goes on', () => changes() !== before);

  // One that was killed comes back, though it is not of the newest version.
  await old.kill();
  await using again = await start(previous.command, oldPort, 'old');
  const [report, code] = await Promise.all([storm.stdout.text(), storm.exited]);
  console.log(report);
  expect(code).toBe(0);
  expect(await again.stop()).toBe(0);
  const log = await Bun.file(join(directory.path, 'old.log')).text();
  expect(log).not.toMatch(/"level":"(error|fatal)"/);
}, 120_000);
