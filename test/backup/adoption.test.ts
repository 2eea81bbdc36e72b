import { expect, setDefaultTimeout, spyOn, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DirectoryBytes } from '../../src/fsck/directory/bytes.ts';
import { UnreadableError } from '../../src/fsck/stored-bytes.ts';
import { checkEverything } from '../../src/http/admin/fsck.ts';
import { askForLines, linesOf } from '../admin/asked-lines.ts';
import { isWhole, pushImage, type PushedImage } from '../admin/pushed-images.ts';
import { wherry } from '../admin/wherry.ts';
import { findings, isInBucket, isOnPostgres } from '../fsck/damaged-registry.ts';
import { freshBytes } from '../http/content.ts';
import { ServedRegistry, type Settings } from '../http/served-registry.ts';

setDefaultTimeout(60_000);

const settings: Settings = {
  'windows.lease': '0',
  'windows.trash': '0',
  'windows.condemned': '0',
  'windows.neverTagged': '0',
};

interface Story {
  readonly registry: ServedRegistry;
  /** Pushed before the copy of the database, deleted after it, its bytes gone. */
  readonly removed: PushedImage;
  /** Pushed before, and still there. */
  readonly kept: PushedImage;
  /** Pushed after the copy. */
  readonly later: PushedImage;
  /** A blob pushed after it that says what it is. */
  readonly config: string;
}

/** Copies a registry's database, by the means that an operator has. @returns how the copy is restored */
async function copied(registry: ServedRegistry, directory: string): Promise<() => Promise<void>> {
  if (isOnPostgres) {
    await registry.stop();
    const rows = registry.tables.keep();
    await registry.resume(settings);
    return async () => {
      rows.putBack();
      expect(await wherry(registry.dataDirectory, 'restore', '--in-place')).toMatchObject({ code: 0 });
    };
  }
  const copy = join(directory, 'copy.db');
  expect(await wherry(registry.dataDirectory, 'backup', '--to', copy)).toMatchObject({ code: 0 });
  return async () => {
    expect(await wherry(registry.dataDirectory, 'restore', '--from', copy)).toMatchObject({ code: 0 });
  };
}

/** A registry whose database is older than its blobs. */
async function restored(
  afterwards: (registry: ServedRegistry) => Promise<void> = async () => undefined,
): Promise<Story & AsyncDisposable> {
  const registry = await ServedRegistry.start(settings);
  const directory = mkdtempSync(join(tmpdir(), 'wherry-adoption-'));
  // Such as fsck believes in: it runs by the machine's clock.
  await registry.stop();
  registry.clock.set(Date.now() - registry.clock.now());
  await registry.resume(settings);
  const removed = await pushImage(registry, 'app', { tags: ['removed'] });
  const kept = await pushImage(registry, 'app', { tags: ['kept'] });
  const restore = await copied(registry, directory);
  await registry.send('/v2/app/manifests/removed', { method: 'DELETE' });
  registry.clock.advance(60_000);
  await registry.collected();
  const later = await pushImage(registry, 'app', { tags: ['later'] });
  const config = await registry.pushBlob(
    'app',
    Buffer.from(JSON.stringify({ os: 'linux', architecture: 'arm64', created: '2030-01-01T00:00:00Z', rootfs: {} })),
  );
  await afterwards(registry);
  await registry.stop();
  await restore();
  return {
    registry,
    removed,
    kept,
    later,
    config,
    async [Symbol.asyncDispose]() {
      rmSync(directory, { recursive: true });
      await registry[Symbol.asyncDispose]();
    },
  };
}

/** What must be true once it has been repaired. */
async function expectAdopted({ registry, removed, kept, later, config }: Story): Promise<void> {
  expect(await isWhole(registry, 'app', 'kept', kept)).toBe(true);
  // Its tag is back, as it was; its bytes are not.
  expect((await registry.send('/v2/app/manifests/removed')).status).toBe(200);
  for (const digest of removed.blobs) expect((await registry.send(`/v2/app/blobs/${digest}`)).status).toBe(404);
  // Nobody sees what was adopted, by no repository.
  for (const digest of [...later.blobs, config]) {
    expect((await registry.send(`/v2/app/blobs/${digest}`)).status).toBe(404);
    expect((await registry.send(`/v2/app/blobs/${digest}`, { method: 'HEAD' })).status).toBe(404);
    const mount = `/v2/other/blobs/uploads/?mount=${digest}&from=app`;
    expect((await registry.send(mount, { method: 'POST' })).status).toBe(202);
  }
  const events = registry.rows<{ digest: string; reason: string }>(
    `select digest, reason from event where kind = 'blob.adopted'`,
  );
  expect(new Set(events.map(({ digest }) => digest))).toEqual(new Set([...later.blobs, config]));
  expect(events.find(({ digest }) => digest === config)?.reason).toContain(
    'the config of an image (linux/arm64, created',
  );
}

test('what a restored database does not know is adopted: nobody sees it, a push of it takes it, the rest goes in time', async () => {
  await using story = await restored();
  const { registry, removed, later, config } = story;
  const looked = await wherry(registry.dataDirectory, 'fsck');
  for (const digest of [...later.blobs, config]) expect(looked.out).toContain(digest);
  expect(looked.out).toContain('breaks app:removed');
  expect(looked.out).toContain('fsck --repair adopts it');
  const repaired = await wherry(registry.dataDirectory, 'fsck', '--repair');
  expect(repaired.out).toContain(`${removed.blobs.length} losses, 4 leaks, 0 notes; 4 repaired`);
  const after = await wherry(registry.dataDirectory, 'fsck', '--rehash');
  expect(after.out).toContain(`${removed.blobs.length} losses, 0 leaks, 0 notes`);

  await registry.resume(settings);
  await expectAdopted(story);
  await registry.collected();
  const stored = () => registry.rows<{ oid: string }>(`select oid from object where state = 'live'`).length;
  const before = stored();
  const bytes = new Map(later.blobs.map((digest) => [digest, oidOf(registry, digest)]));
  // Only the manifest is lost: it is pushed again with what it needs, which is not stored again.
  for (const digest of later.blobs) {
    expect(await registry.pushBlob('app', await registry.objects.bytes(bytes.get(digest) ?? ''))).toBe(digest);
  }
  expect((await registry.putManifest('app', 'later', later.manifest)).status).toBe(201);
  expect(stored()).toBe(before);
  for (const digest of later.blobs) expect(oidOf(registry, digest)).toBe(bytes.get(digest) ?? '-');
  expect(await isWhole(registry, 'app', 'later', later)).toBe(true);

  registry.clock.advance(31 * 24 * 3_600_000);
  await registry.collected();
  expect(await isWhole(registry, 'app', 'later', later)).toBe(true);
  expect(registry.rows(`select 1 from object where digest = ?`, config)).toEqual([]);
});

test('a server that runs adopts it too', async () => {
  await using story = await restored();
  const { registry } = story;
  await registry.resume(settings);
  const lines = await Array.fromAsync(linesOf(checkEverything, await askForLines(registry, '/fsck', { repair: true })));
  expect(lines.at(-1)).toMatchObject({ counts: { leak: 4, note: 0, repaired: 4 } });
  await expectAdopted(story);
});

test('what was being uploaded is not given up before the database has been accepted', async () => {
  await using story = await restored(async (registry) => {
    // In a bucket, of the one there is an upload, of the other a piece.
    for (const sizeBytes of [9 * 1024 * 1024, 1000]) {
      const opened = await registry.send('/v2/app/blobs/uploads/', { method: 'POST' });
      // Of what has a range, it is told that more is to come.
      const headers = { 'content-range': `0-${sizeBytes - 1}` };
      const init = { method: 'PATCH', headers, body: freshBytes(sizeBytes) };
      expect((await registry.send(opened.headers.get('location') ?? '', init)).status).toBe(202);
    }
  });
  const { registry } = story;
  const before = (await registry.objectFiles()).toSorted();
  const first = await findings(registry, { repair: true, orphanAgeMs: 0 });
  const unrepaired = first.filter(({ severity, isRepaired }) => severity === 'leak' && !isRepaired);
  // In a directory it is a file like any other, and adopted with what had come of it.
  expect(unrepaired.length > 0).toBe(isInBucket);
  expect(unrepaired.every(({ isRepairable }) => !isRepairable)).toBe(true);
  expect(first.find(({ code }) => code === 'F14')).toMatchObject({ isRepaired: true });
  expect((await registry.objectFiles()).toSorted()).toEqual(before);
  await findings(registry, { repair: true, orphanAgeMs: 0 });
  expect((await findings(registry, { orphanAgeMs: 0 })).filter(({ severity }) => severity === 'leak')).toEqual([]);
  await registry.resume(settings);
  await registry.collected();
  expect(await registry.objectFiles()).toHaveLength(isInBucket ? 5 : 7);
});

test('a database is not accepted while bytes that it does not know cannot be read', async () => {
  await using story = await restored();
  const { registry } = story;
  {
    using _ = await unreadable();
    const found = await findings(registry, { repair: true });
    expect(found.filter(({ severity }) => severity === 'leak')).toMatchObject([
      ...Array.from({ length: 3 }, () => ({ code: 'F2', isRepairable: false, isRepaired: false })),
      { code: 'F14', isRepaired: false },
    ]);
  }
  const repaired = await findings(registry, { repair: true });
  expect(repaired.filter(({ isRepaired }) => isRepaired)).toHaveLength(4);
  await registry.resume(settings);
  await expectAdopted(story);
});

test('what cannot be adopted keeps the database from being accepted, so that it is not removed either', async () => {
  await using story = await restored();
  const { registry, config } = story;
  await registry.resume(settings);
  // Nothing may be changed for now.
  await registry.admin('POST', '/readonly/on', { reason: 'for now' });
  const failed = await wherry(registry.dataDirectory, 'fsck', '--repair');
  expect(failed.code).not.toBe(0);
  await registry.admin('POST', '/readonly/off', {});
  const metrics = await (await registry.send('/metrics')).text();
  expect(metrics).toContain('\nwherry_database_outdated 1\n');
  await registry.stop();
  const repaired = await wherry(registry.dataDirectory, 'fsck', '--repair');
  expect(repaired.out).toContain(config);
  await registry.resume(settings);
  await expectAdopted(story);
});

test.each(['runs', 'is stopped'])(
  'bytes that are known already go as a copy does, and take the place of bytes that are gone: the registry %s',
  async (state) => {
    await using story = await restored();
    const { registry, kept } = story;
    if (state === 'runs') await registry.resume(settings);
    const [digest = ''] = kept.blobs;
    const known = oidOf(registry, digest);
    const bytes = await registry.objects.bytes(known);
    await registry.objects.write('ab'.repeat(16), bytes);
    await registry.objects.remove(known);
    await registry.objects.write('cd'.repeat(16), bytes);
    if (state === 'runs') await (await registry.admin('POST', '/fsck', { repair: true })).text();
    // Where a server repairs, it is looked on meanwhile: only the next look sees all that has been adopted.
    const { out } = await wherry(registry.dataDirectory, 'fsck', ...(state === 'runs' ? [] : ['--repair']));
    expect(out).toContain('breaks app:removed');
    expect(out).not.toContain(`the file of ${digest} is missing`);
    if (state !== 'runs') await registry.resume(settings);
    expect(await isWhole(registry, 'app', 'kept', kept)).toBe(true);
    registry.clock.advance(60_000);
    await registry.collected();
    const files = await registry.objectFiles();
    expect(['ab'.repeat(16), 'cd'.repeat(16)].filter((oid) => files.includes(oid))).toHaveLength(1);
    expect(await isWhole(registry, 'app', 'kept', kept)).toBe(true);
  },
);

/** Has no bytes be read, while this lasts. */
async function unreadable(): Promise<Disposable> {
  // oxlint-disable-next-line require-yield
  const fail = async function* read(): AsyncGenerator<Uint8Array, void, undefined> {
    throw new UnreadableError('EIO');
  };
  if (!isInBucket) return spyOn(DirectoryBytes.prototype, 'read').mockImplementation(fail);
  const { BucketBytes } = await import('../../src/fsck/s3/bytes.ts');
  return spyOn(BucketBytes.prototype, 'read').mockImplementation(fail);
}

function oidOf(registry: ServedRegistry, digest: string): string {
  return (
    registry.rows<{ oid: string }>(`select oid from object where digest = ? and state = 'live'`, digest)[0]?.oid ?? ''
  );
}
