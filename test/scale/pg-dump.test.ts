import { expect, setDefaultTimeout, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pushImage, isWhole } from '../admin/pushed-images.ts';
import { wherry } from '../admin/wherry.ts';
import { readDocument } from '../docs/documents.ts';
import { freshBytes } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { outputOf } from '../install/command.ts';
import { TemporaryDirectory } from '../server/temporary-directory.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres });

setDefaultTimeout(120_000);

/** The command of the page that begins with a word, for another database and file. */
function commandOf(program: string, database: string, file: string): readonly [string, ...string[]] {
  const { codeBlocks } = readDocument('docs/backup.md');
  const lines = codeBlocks.flatMap(({ text }) => text.split('\n')).filter((line) => line.startsWith(`${program} `));
  expect(lines).toHaveLength(1);
  const [line = ''] = lines;
  const words = line.replace('postgres://wherry@db.example/wherry', database).replace('wherry.dump', file).split(' ');
  return [program, ...words.slice(1)];
}

test('a registry in PostgreSQL is backed up and restored by the commands of the page, and accepted once fsck has settled it', async () => {
  using directory = new TemporaryDirectory('dump');
  const file = join(directory.path, 'copy.dump');
  const [metadata, empty] = [await storage.postgres.newDatabase(), await storage.postgres.newDatabase()];
  await using registry = await ServedRegistry.start({ metadata });
  const image = await pushImage(registry, 'app', { tags: ['1'] });
  const opened = await registry.send('/v2/app/blobs/uploads/', { method: 'POST' });
  const session = opened.headers.get('location') ?? '';
  await registry.send(session, { method: 'PATCH', body: freshBytes() });
  await outputOf(commandOf('pg_dump', metadata, file));
  const later = await pushImage(registry, 'app', { tags: ['2'] });
  await registry.stop();

  await outputOf(commandOf('pg_restore', empty, file));
  const config = join(directory.path, 'wherry.yaml');
  writeFileSync(config, `metadata: ${empty}\n`);
  const inPlace = await wherry(registry.dataDirectory, 'restore', '--in-place', '--config', config);
  expect(inPlace).toMatchObject({ code: 0, err: '' });
  expect(inPlace.out).toContain('1 uploads that were under way');
  await registry.resume({ metadata: empty });
  expect(await isWhole(registry, 'app', '1', image)).toBe(true);
  expect((await registry.send('/v2/app/manifests/2')).status).toBe(404);
  expect((await registry.send(session)).status).toBe(404);
  // Its numbers go on behind those that it had.
  expect(await isWhole(registry, 'app', '3', await pushImage(registry, 'app', { tags: ['3'] }))).toBe(true);
  const metrics = await (await registry.send('/metrics')).text();
  expect(metrics).toContain('\nwherry_database_outdated 1\n');
  await registry.stop();
  const repaired = await wherry(registry.dataDirectory, 'fsck', '--repair', '--config', config);
  for (const blob of later.blobs) expect(repaired.out).toContain(blob);
  expect(await wherry(registry.dataDirectory, 'fsck', '--config', config)).toMatchObject({ code: 0 });
  await registry.resume({ metadata: empty });
  expect(await (await registry.send('/metrics')).text()).toContain('\nwherry_database_outdated 0\n');
});
