import { expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { SqliteDatabase } from '../../src/moving/sqlite-database.ts';
import { pushImage } from '../admin/pushed-images.ts';
import { wherry } from '../admin/wherry.ts';
import { freshBytes } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { SqliteTables } from '../pairs/tables.ts';
import { expectFurnished, furnish, rowsOf } from './furnished-registry.ts';
import { Pushing } from './pushing.ts';

setDefaultTimeout(120_000);

function otherPlace() {
  const directory = mkdtempSync(join(tmpdir(), 'wherry-moved-'));
  return { data: join(directory, 'data'), [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
}

/** The names of the blobs that lie in a data directory. */
function objectsIn(data: string): readonly string[] {
  const objects = join(data, 'objects');
  if (!existsSync(objects)) return [];
  return readdirSync(objects, { recursive: true, encoding: 'utf8' })
    .filter((path) => /^..\/[0-9a-f]{32}$/.test(path))
    .map((path) => path.slice(3));
}

/** Serves what lies in another directory by the same helper. */
async function served(data: string): Promise<ServedRegistry> {
  const registry = await ServedRegistry.start();
  await registry.stop();
  rmSync(registry.dataDirectory, { recursive: true });
  renameSync(data, registry.dataDirectory);
  await registry.resume();
  return registry;
}

test('a registry moves to another directory while it is pulled from and pushed to, and all of it is there', async () => {
  await using registry = await ServedRegistry.start();
  using place = otherPlace();
  const furniture = await furnish(registry);
  const tables = new SqliteTables(registry.dataDirectory);
  tables.change(`insert into process (id, name) values ('one', 'a process of the old place')`);
  tables.change(`update purge set finisher = 'one'`);
  tables.change(`insert into purge_confirmation (purge, process) select id, 'one' from purge`);
  const over = new AbortController();
  const pushing = new Pushing(registry);
  const failures: number[] = [];
  const pulling = (async () => {
    while (!over.signal.aborted) {
      for (const { repo, reference } of furniture.images) {
        const answer = await registry.send(`/v2/${repo}/manifests/${reference}`);
        if (answer.status !== 200) failures.push(answer.status);
        await answer.bytes();
      }
    }
  })();
  const moved = await wherry(registry.dataDirectory, 'migrate', '--to-data', place.data);
  expect(moved).toMatchObject({ code: 0 });
  expect(moved.out).toContain(`\ndata: ${place.data}\nmetadata: sqlite\nblobs: directory\n`);
  expect(moved.err).toContain('wherry fsck has found 0 losses, 0 leaks and 0 notes');
  // It may have been killed before its last word.
  expect(await wherry(registry.dataDirectory, 'migrate', '--to-data', place.data)).toMatchObject({ code: 0 });
  const late = await registry.send('/v2/team/busy/blobs/uploads/', { method: 'POST' });
  expect(late.status).toBe(503);
  const told = await late.text();
  expect(told).toContain('it was moved');
  // Where its stores are is not for clients.
  expect(told).not.toContain(place.data);
  over.abort();
  await Promise.all([pushing.stop(), pulling]);
  expect(failures).toEqual([]);
  expect(pushing.refusals).toEqual(new Set([503]));
  expect(pushing.acknowledged.length).toBeGreaterThan(0);

  {
    await using from = SqliteDatabase.openForReading(registry.dataDirectory);
    await using to = SqliteDatabase.openForReading(place.data);
    const [before, after] = [await rowsOf(from), await rowsOf(to)];
    for (const [table, rows] of before) {
      // Uploads do not go on elsewhere; that it has been moved is an event of the old place only.
      const isSame = !['object', 'upload', 'task', 'event'].includes(table);
      if (isSame) expect({ table, rows: after.get(table) }).toEqual({ table, rows });
    }
    // Nobody there takes a purge that a process of the old place has claimed for one that is being finished.
    expect(await to.all('select finisher from purge')).toEqual([{ finisher: null }]);
    for (const table of ['process', 'purge_confirmation']) {
      expect(await to.all(`select * from ${table}`)).toEqual([]);
    }
    const events = before.get('event') ?? [];
    const [last = {}, ...copied] = (after.get('event') ?? []).toReversed();
    expect(copied.toReversed()).toEqual(events.slice(0, copied.length));
    expect(events.length - copied.length).toBe(1);
    // Whoever has read the last one there was misses none that comes here.
    expect(last).toMatchObject({ kind: 'readonly.off', actor: 'wherry migrate' });
    expect(Number(last['id'])).toBeGreaterThan(Number(events.at(-1)?.['id']) + 100_000);
  }
  await registry.stop();
  await using there = await served(place.data);
  await expectFurnished(there, furniture, 'is gone');
  for (const digest of pushing.acknowledged)
    expect((await there.send(`/v2/team/busy/blobs/${digest}`)).status).toBe(200);
});

test('a move that is killed goes on, and leaves the registry as it was meanwhile', async () => {
  await using registry = await ServedRegistry.start();
  using place = otherPlace();
  const furniture = await furnish(registry);
  await registry.stop();
  for (let blobs = 0; blobs < 20; blobs++) {
    await registry.resume();
    await registry.pushBlob('team/many', freshBytes(200_000));
    await registry.stop();
  }
  await registry.resume();
  const child = Bun.spawn(
    [
      process.execPath,
      'src/main.ts',
      'migrate',
      '--data',
      registry.dataDirectory,
      '--to-data',
      place.data,
      '--rate',
      '1MiB',
      '--at-once',
      '1',
    ],
    { stdout: 'ignore', stderr: 'ignore' },
  );
  const copied = () =>
    existsSync(join(place.data, 'objects')) ? readdirSync(join(place.data, 'objects'), { recursive: true }).length : 0;
  while (copied() < 256 + 5) await Bun.sleep(20);
  child.kill('SIGKILL');
  await child.exited;
  await pushImage(registry, 'team/one', { tags: ['between'] });
  const half = await wherry(place.data, 'readonly');
  expect(half.out).toContain('not all of it has come');
  const moved = await wherry(registry.dataDirectory, 'migrate', '--to-data', place.data, '--json');
  expect(moved).toMatchObject({ code: 0 });
  const { blobsThereBefore } = z.object({ blobsThereBefore: z.number() }).parse(JSON.parse(moved.out));
  expect(blobsThereBefore).toBeGreaterThanOrEqual(4);
  await registry.stop();
  await using there = await served(place.data);
  await expectFurnished(there, furniture, 'is gone');
  expect((await there.send('/v2/team/one/manifests/between')).status).toBe(200);
});

test('what is purged while a registry moves is not left behind in the new place', async () => {
  await using registry = await ServedRegistry.start();
  using place = otherPlace();
  const digests: string[] = [];
  for (let blobs = 0; blobs < 20; blobs++) digests.push(await registry.pushBlob('team/many', freshBytes(200_000)));
  const flags = ['--data', registry.dataDirectory, '--to-data', place.data, '--rate', '1MiB', '--at-once', '1'];
  const child = Bun.spawn([process.execPath, 'src/main.ts', 'migrate', ...flags], {
    stdout: 'ignore',
    stderr: 'ignore',
  });
  while (objectsIn(place.data).length < 3) await Bun.sleep(20);
  child.kill('SIGKILL');
  await child.exited;
  const oid = objectsIn(place.data)[0] ?? '';
  const [secret] = registry.rows<{ digest: string }>('select digest from object where oid = ?', oid);
  const purged = await registry.admin('POST', '/purge', { digests: [secret?.digest], reason: 'a secret' });
  expect(purged.status).toBe(200);
  const moved = await wherry(registry.dataDirectory, 'migrate', '--to-data', place.data);
  expect(moved).toMatchObject({ code: 0 });
  expect(objectsIn(place.data)).toHaveLength(digests.length - 1);
  expect(objectsIn(place.data)).not.toContain(oid);
});

test('a place that has a registry already is left alone, and so is the old one', async () => {
  await using registry = await ServedRegistry.start();
  await using other = await ServedRegistry.start();
  await pushImage(registry, 'app', { tags: ['1'] });
  await pushImage(other, 'app', { tags: ['1'] });
  const inUse = await wherry(registry.dataDirectory, 'migrate', '--to-data', other.dataDirectory);
  expect(inUse).toMatchObject({ code: 1, out: '' });
  expect(inUse.err).toContain('is using');
  await other.stop();
  const full = await wherry(registry.dataDirectory, 'migrate', '--to-data', other.dataDirectory);
  expect(full).toMatchObject({ code: 1, out: '' });
  expect(full.err).toContain('there is a registry in the new place already');
  const same = await wherry(registry.dataDirectory, 'migrate');
  expect(same.err).toContain('the new place is the old one');
  await pushImage(registry, 'app', { tags: ['2'] });
});

test('a damaged blob keeps a registry from being moved, unless it is left behind', async () => {
  await using registry = await ServedRegistry.start();
  using place = otherPlace();
  const image = await pushImage(registry, 'app', { tags: ['1'] });
  const other = await pushImage(registry, 'app', { tags: ['2'] });
  const oidOf = (digest: string | undefined) =>
    registry.rows<{ oid: string }>('select oid from object where digest = ?', digest ?? '')[0]?.oid ?? '';
  const pathOf = (oid: string) => join(registry.dataDirectory, 'objects', oid.slice(0, 2), oid);
  const [changed, gone] = [oidOf(image.blobs[0]), oidOf(other.blobs[0])];
  writeFileSync(pathOf(changed), (await Bun.file(pathOf(changed)).bytes()).fill(1));
  rmSync(pathOf(gone));
  const stopped = await wherry(registry.dataDirectory, 'migrate', '--to-data', place.data);
  expect(stopped).toMatchObject({ code: 1, out: '' });
  expect(stopped.err).toContain('2 blobs are damaged');
  expect(stopped.err).toContain(image.blobs[0] ?? '-');
  expect(stopped.err).toContain(other.blobs[0] ?? '-');
  await pushImage(registry, 'app', { tags: ['3'] });
  const moved = await wherry(registry.dataDirectory, 'migrate', '--to-data', place.data, '--leave-damaged');
  expect(moved).toMatchObject({ code: 0 });
  expect(moved.out).toContain(`Left behind: ${image.blobs[0]}`);
});
