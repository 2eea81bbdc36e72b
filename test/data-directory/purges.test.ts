import { Database } from 'bun:sqlite';
import { expect, setDefaultTimeout, test } from 'bun:test';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { directoryCalls } from '../../src/blobs/directory/calls.ts';
import type { Syncs } from '../../src/stores/syncs.ts';
import { digestOf, freshBytes, imageOf } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { oidsOf, purge, recordOf, shreddedObjects } from '../purge/purge-outcomes.ts';
import { StubbornDisk } from '../purge/stubborn-disk.ts';
import { until } from '../server/until.ts';

setDefaultTimeout(60_000);

const repo = 'team/app';

test('a purge takes a file that somebody else removes meanwhile for gone', async () => {
  const disk = new StubbornDisk();
  const truncate: Partial<Syncs['blobs']> = {
    truncate: async (path, sizeBytes) => {
      await rm(path, { force: true });
      await directoryCalls.truncate(path, sizeBytes);
    },
  };
  await using registry = await ServedRegistry.start({}, { ...disk.syncs, blobs: truncate });
  const secret = await registry.pushBlob(repo, freshBytes());
  expect(await purge(registry, { digests: [secret] })).toMatchObject({ isClean: true });
});

test('what came of overwriting is told of each object, where its file is missing, is empty, or lies in quarantine', async () => {
  await using registry = await ServedRegistry.start();
  const digests: string[] = [];
  const oids: string[] = [];
  for (let each = 0; each < 4; each++) {
    digests.push(await registry.pushBlob(repo, freshBytes()));
    oids.push(...oidsOf(registry).filter((oid) => !oids.includes(oid)));
  }
  const [missing = '', empty = '', aside = '', whole = ''] = oids;
  const fileOf = (oid: string): string => join(registry.dataDirectory, 'objects', oid.slice(0, 2), oid);
  await rm(fileOf(missing));
  await Bun.write(fileOf(empty), '');
  const quarantine = join(registry.dataDirectory, 'quarantine');
  await mkdir(quarantine);
  await rename(fileOf(aside), join(quarantine, aside));
  const { isClean, shredding } = await purge(registry, { digests, shred: true });
  const ends = await shreddedObjects(registry);
  expect(ends.get(missing)).toBe('gone: its file was not there any more');
  expect(ends.get(empty)).toBe('gone: its file was empty already');
  expect(ends.get(aside)).toBe(ends.get(whole) ?? '');
  expect([isClean, shredding?.isDone]).toEqual([true, false]);
  expect(shredding?.words).toContain('1 object not overwritten: its file was empty already');
  expect(shredding?.words).toContain('2 objects ');
  expect(await Bun.file(join(quarantine, aside)).exists()).toBe(false);
});

test('a purge of a manifest is not finished while older states of the database are in its log', async () => {
  await using registry = await ServedRegistry.start();
  const config = freshBytes();
  await registry.pushBlob(repo, config);
  const secret = `password-${crypto.randomUUID()}`;
  await registry.putManifest(repo, 'v1', { ...imageOf(config), annotations: { secret } });
  const path = join(registry.dataDirectory, 'wherry.db');
  const isInLog = async (): Promise<boolean> =>
    Buffer.from(await Bun.file(`${path}-wal`).arrayBuffer()).includes(secret);
  const reader = new Database(path, { readonly: true });
  reader.run('begin');
  reader.query('select * from purge').all();
  const first = await purge(registry, { images: [`${repo}:v1`], shred: true });
  expect([first.removedAt, first.checkedAt, first.isClean]).toEqual([undefined, undefined, undefined]);
  expect(first.waitsFor).toContain('log');
  expect(await isInLog()).toBe(true);
  expect((await registry.send(`/v2/${repo}/manifests/v1`)).status).toBe(403);
  // The copy of an upload that is refused meanwhile is the purge's to remove: it has to be overwritten, too.
  const { headers } = await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
  const closing = `${headers.get('location')}?digest=${digestOf(config)}`;
  expect((await registry.send(closing, { method: 'PUT', body: config })).status).toBe(403);
  reader.run('commit');
  reader.close();
  await until('it is finished', async () => (await recordOf(registry)).checkedAt !== undefined, 30_000);
  expect(await recordOf(registry)).toMatchObject({ isClean: true });
  expect(await isInLog()).toBe(false);
  expect((await shreddedObjects(registry)).size).toBe(2);
  expect(await registry.objectFiles()).toEqual([]);
});
