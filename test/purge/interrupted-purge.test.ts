import { Database } from 'bun:sqlite';
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { directoryCalls } from '../../src/blobs/directory/calls.ts';
import type { Syncs } from '../../src/stores.ts';
import { digestOf, freshBytes, imageOf } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { until } from '../server/until.ts';

setDefaultTimeout(60_000);

const repo = 'team/app';

const record = z.object({
  removedAt: z.string().optional(),
  checkedAt: z.string().optional(),
  isClean: z.boolean().optional(),
  waitsFor: z.string().optional(),
  responsesCut: z.number().optional(),
  isCutAtLeast: z.boolean().optional(),
  shredding: z.object({ isDone: z.boolean(), words: z.string() }).optional(),
});

const shredded = z.object({ id: z.string(), shredded: z.object({ outcome: z.string(), words: z.string() }) });

async function purge(registry: ServedRegistry, body: object): Promise<z.output<typeof record>> {
  const answer = await registry.admin('POST', '/purge', { reason: 'why', ...body });
  expect(answer.status).toBe(200);
  return record.parse(await answer.json());
}

async function recordOf(registry: ServedRegistry): Promise<z.output<typeof record>> {
  return record.parse(await (await registry.admin('GET', '/purges/record?id=1')).json());
}

/** What came of overwriting each object, by its id. */
async function shreddedObjects(registry: ServedRegistry): Promise<ReadonlyMap<string, string>> {
  const lines = (await (await registry.admin('GET', '/purges/places?id=1')).text()).trim().split('\n');
  const objects = lines.flatMap((line) => shredded.safeParse(JSON.parse(line)).data ?? []);
  return new Map(objects.map((object) => [object.id, `${object.shredded.outcome}: ${object.shredded.words}`]));
}

/** A disk on which a test says which files cannot be removed. */
class StubbornDisk {
  keeps: (path: string) => boolean = () => false;

  readonly syncs: Syncs = {
    database: {},
    blobs: {
      unlink: async (path) => {
        if (this.keeps(path)) throw Object.assign(new Error(`EIO: unlink ${path}`), { code: 'EIO' });
        await directoryCalls.unlink(path);
      },
    },
  };
}

function oidsOf(registry: ServedRegistry): readonly string[] {
  return registry
    .rows<{ oid: string }>("select oid from object where state = 'live' order by oid")
    .map(({ oid }) => oid);
}

describe('a purge that the disk keeps from its end', () => {
  test('removes all that can be removed, says why it is not finished, and is when it is tried again', async () => {
    const disk = new StubbornDisk();
    await using registry = await ServedRegistry.start({}, disk.syncs);
    const digests = await Promise.all([1, 2, 3].map(async () => await registry.pushBlob(repo, freshBytes())));
    const [kept = ''] = oidsOf(registry);
    disk.keeps = (path) => path.endsWith(kept);
    const first = await purge(registry, { digests });
    expect([first.removedAt, first.checkedAt, first.isClean]).toEqual([undefined, undefined, undefined]);
    expect(first.waitsFor).toContain('EIO');
    expect(await registry.objectFiles()).toEqual([kept]);
    disk.keeps = () => false;
    await registry.stop();
    await registry.resume();
    const last = await recordOf(registry);
    expect([last.isClean, last.waitsFor]).toEqual([true, undefined]);
    expect(await registry.objectFiles()).toEqual([]);
  });

  test('keeps how many downloads it has broken off, and says that there may have been more', async () => {
    const disk = new StubbornDisk();
    await using registry = await ServedRegistry.start({}, disk.syncs);
    const secret = await registry.pushBlob(repo, freshBytes(48 * 1024 * 1024));
    const download = await registry.send(`/v2/${repo}/blobs/${secret}`);
    const reader = download.body?.getReader();
    expect((await reader?.read())?.done).toBe(false);
    disk.keeps = () => true;
    await purge(registry, { digests: [secret] });
    disk.keeps = () => false;
    await registry.stop();
    await registry.resume();
    expect(await recordOf(registry)).toMatchObject({ isClean: true, responsesCut: 1, isCutAtLeast: true });
  });

  test('takes a file that somebody else removes meanwhile for gone', async () => {
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
});

describe('what came of overwriting is told of each object', () => {
  test('as it was the first time, where the purge was interrupted after that', async () => {
    const disk = new StubbornDisk();
    await using registry = await ServedRegistry.start({}, disk.syncs);
    const secret = await registry.pushBlob(repo, freshBytes());
    const [oid = ''] = oidsOf(registry);
    disk.keeps = () => true;
    await purge(registry, { digests: [secret], shred: true });
    const first = (await shreddedObjects(registry)).get(oid);
    expect(first).toMatch(/^(overwritten|not-overwritten): /);
    disk.keeps = () => false;
    await registry.stop();
    await registry.resume();
    expect((await shreddedObjects(registry)).get(oid)).toBe(first);
    const { isClean, shredding } = await recordOf(registry);
    expect([isClean, shredding?.isDone]).toEqual([true, first?.startsWith('overwritten')]);
  });

  test('where its file is missing, is empty, or lies in quarantine', async () => {
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
