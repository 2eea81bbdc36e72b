import { describe, expect, test } from 'bun:test';
import { z } from 'zod';
import { digestOf, freshBytes, imageOf } from '../http/content.ts';
import { expectRefusal } from '../http/refusal.ts';
import { ServedRegistry, type Settings } from '../http/served-registry.ts';
import { isWhole, type PushedImage, pushImage, pushIndex, remove } from './pushed-images.ts';

const repo = 'team/app';
const hour = 3_600_000;
/** Nothing but the trash keeps what was deleted. */
const onlyTrash: Settings = {
  'windows.lease': '0',
  'windows.trash': '72h',
  'windows.condemned': '0',
  'windows.neverTagged': '1h',
};

async function restore(registry: ServedRegistry, target: string): Promise<unknown> {
  const answer = await registry.admin('POST', '/trash/restore', { target });
  expect(answer.status).toBe(200);
  return await answer.json();
}

const listing = z.object({
  entries: z.array(z.object({ target: z.string(), until: z.string() })),
  next: z.string().optional(),
});

/** All that is in the trash, asked for page by page. */
async function inTrash(registry: ServedRegistry, parameters = ''): Promise<string[]> {
  const targets: string[] = [];
  for (let after = ''; ;) {
    const page = listing.parse(await (await registry.admin('GET', `/trash?n=2${parameters}${after}`)).json());
    targets.push(...page.entries.map(({ target }) => target));
    if (page.next === undefined) return targets;
    after = `&after=${page.next}`;
  }
}

async function statusOf(registry: ServedRegistry, reference: string): Promise<number> {
  return (await registry.send(`/v2/${repo}/manifests/${reference}`)).status;
}

describe('a deleted manifest', () => {
  test('comes back whole with its tags, at any time before the collector takes it (R26)', async () => {
    await using registry = await ServedRegistry.start(onlyTrash);
    const image = await pushImage(registry, repo, { tags: ['x', 'y'] });
    expect((await remove(registry, repo, image.digest)).status).toBe(202);
    registry.clock.advance(72 * hour - 1);
    await registry.collected();
    // Its time is over, but nobody has come yet.
    registry.clock.advance(1);
    expect(await restore(registry, `${repo}@${image.digest}`)).toEqual({
      digest: image.digest,
      tags: ['x', 'y'],
      movedOn: [],
      manifests: [image.digest],
    });
    registry.clock.advance(1000 * hour);
    await registry.collected();
    for (const reference of ['x', 'y', image.digest]) {
      expect(await isWhole(registry, repo, reference, image)).toBe(true);
    }
    expect(await inTrash(registry)).toEqual([]);
  });

  test('answers 404 while it is in the trash, and so do its tags', async () => {
    await using registry = await ServedRegistry.start(onlyTrash);
    const image = await pushImage(registry, repo, { tags: ['x'] });
    await remove(registry, repo, image.digest);
    for (const reference of ['x', image.digest]) expect(await statusOf(registry, reference)).toBe(404);
    await restore(registry, `${repo}@${image.digest}`);
    for (const reference of ['x', image.digest]) expect(await statusOf(registry, reference)).toBe(200);
  });

  test('cannot come back once the collector has taken it', async () => {
    await using registry = await ServedRegistry.start(onlyTrash);
    const image = await pushImage(registry, repo, { tags: ['x'] });
    await remove(registry, repo, image.digest);
    registry.clock.advance(72 * hour);
    await registry.collected();
    for (const target of [`${repo}@${image.digest}`, `${repo}:x`]) {
      const answer = await registry.admin('POST', '/trash/restore', { target });
      const refusal = await expectRefusal(answer, 404, 'MANIFEST_UNKNOWN');
      expect(refusal.message).toContain(`${target} is not in the trash`);
    }
  });

  test('leaves a tag where it is that leads to something else by now, and says so', async () => {
    await using registry = await ServedRegistry.start(onlyTrash);
    const image = await pushImage(registry, repo, { tags: ['x', 'y'] });
    await remove(registry, repo, image.digest);
    const newer = await pushImage(registry, repo, { tags: ['x'] });
    expect(await restore(registry, `${repo}@${image.digest}`)).toMatchObject({
      tags: ['y'],
      movedOn: [{ tag: 'x', current: newer.digest }],
    });
    expect(await isWhole(registry, repo, 'x', newer)).toBe(true);
    expect(await isWhole(registry, repo, 'y', image)).toBe(true);
  });

  test('comes back with a blob that a client deleted meanwhile', async () => {
    await using registry = await ServedRegistry.start(onlyTrash);
    const image = await pushImage(registry, repo, { tags: ['x'] });
    await remove(registry, repo, image.digest);
    expect((await registry.send(`/v2/${repo}/blobs/${image.blobs[1]}`, { method: 'DELETE' })).status).toBe(202);
    await registry.collected();
    await restore(registry, `${repo}@${image.digest}`);
    expect(await isWhole(registry, repo, 'x', image)).toBe(true);
  });

  test('that never had a tag waits for one no longer than any other, though the trash keeps things for longer', async () => {
    await using registry = await ServedRegistry.start(onlyTrash);
    const image = await pushImage(registry, repo);
    await remove(registry, repo, image.digest);
    registry.clock.advance(2 * hour);
    await registry.collected();
    await restore(registry, `${repo}@${image.digest}`);
    registry.clock.advance(hour);
    await registry.collected();
    expect(await registry.objectFiles()).toEqual([]);
  });

  test('that none of its tags came back to waits for a tag as if it were new', async () => {
    await using registry = await ServedRegistry.start({ ...onlyTrash, 'windows.neverTagged': '30d' });
    const image = await pushImage(registry, repo, { tags: ['x'] });
    await remove(registry, repo, image.digest);
    await pushImage(registry, repo, { tags: ['x'] });
    await restore(registry, `${repo}@${image.digest}`);
    registry.clock.advance(29 * 24 * hour);
    await registry.collected();
    // Whoever asks the registry for it uses it.
    expect(registry.rows('select 1 from manifest where digest = ?', image.digest).length).toBe(1);
    registry.clock.advance(24 * hour);
    await registry.collected();
    expect(await statusOf(registry, image.digest)).toBe(404);
  });
});

test('a deleted index comes back with those of its children that were deleted after it (I5)', async () => {
  await using registry = await ServedRegistry.start(onlyTrash);
  const [kept, deleted] = [await pushImage(registry, repo), await pushImage(registry, repo)];
  const index = await pushIndex(registry, repo, ['all'], kept, deleted);
  await remove(registry, repo, index.digest);
  expect((await remove(registry, repo, deleted.digest)).status).toBe(202);
  registry.clock.advance(hour);
  await registry.collected();
  expect(await restore(registry, `${repo}:all`)).toEqual({
    digest: index.digest,
    tags: ['all'],
    movedOn: [],
    manifests: [index.digest, deleted.digest].toSorted(),
  });
  registry.clock.advance(1000 * hour);
  await registry.collected();
  for (const image of [kept, deleted, index]) {
    expect(await isWhole(registry, repo, image.digest, image)).toBe(true);
  }
});

test('a deleted child comes back to an index that was pushed without it meanwhile (R20)', async () => {
  await using registry = await ServedRegistry.start({ ...onlyTrash, 'manifests.sparse.indexes': 'allow' });
  const image = await pushImage(registry, repo);
  await remove(registry, repo, image.digest);
  await pushIndex(registry, repo, ['all'], image);
  await restore(registry, `${repo}@${image.digest}`);
  expect((await remove(registry, repo, image.digest)).status).toBe(409);
  registry.clock.advance(1000 * hour);
  await registry.collected();
  expect(await isWhole(registry, repo, image.digest, image)).toBe(true);
});

test('a deleted blob comes back to an image that was pushed without it meanwhile (R20)', async () => {
  await using registry = await ServedRegistry.start({ ...onlyTrash, 'manifests.sparse.images': 'allow' });
  const layer = freshBytes();
  const image = await pushImage(registry, repo, { layers: [layer] });
  await remove(registry, repo, image.digest);
  const blob = `/v2/${repo}/blobs/${digestOf(layer)}`;
  expect((await registry.send(blob, { method: 'DELETE' })).status).toBe(202);
  const config = freshBytes();
  await registry.pushBlob(repo, config);
  await registry.putManifest(repo, 'other', JSON.stringify(imageOf(config, layer)));
  await restore(registry, `${repo}@${image.digest}`);
  await remove(registry, repo, image.digest);
  expect((await registry.send(blob, { method: 'DELETE' })).status).toBe(405);
});

describe('a deleted tag', () => {
  test('comes back, to a manifest that other tags kept', async () => {
    await using registry = await ServedRegistry.start(onlyTrash);
    const image = await pushImage(registry, repo, { tags: ['x', 'y'] });
    await remove(registry, repo, 'x');
    expect(await restore(registry, `${repo}:x`)).toMatchObject({ tags: ['x'], manifests: [] });
    await remove(registry, repo, 'y');
    registry.clock.advance(1000 * hour);
    await registry.collected();
    expect(await isWhole(registry, repo, 'x', image)).toBe(true);
  });

  test('comes back as the last that it led to, or as the one that is asked for', async () => {
    await using registry = await ServedRegistry.start(onlyTrash);
    const older = await pushImage(registry, repo, { tags: ['x'] });
    registry.clock.advance(1000);
    const newer = await pushImage(registry, repo, { tags: ['x'] });
    registry.clock.advance(1000);
    await remove(registry, repo, 'x');
    await restore(registry, `${repo}:x`);
    expect(await isWhole(registry, repo, 'x', newer)).toBe(true);
    await remove(registry, repo, 'x');
    await restore(registry, `${repo}:x@${older.digest}`);
    expect(await isWhole(registry, repo, 'x', older)).toBe(true);
  });

  test('comes back as the last that it led to, also where the clock was set back, or stood still', async () => {
    for (const setMs of [0, -hour]) {
      await using registry = await ServedRegistry.start(onlyTrash);
      let last: PushedImage | undefined;
      for (let round = 0; round < 5; round++) {
        last = await pushImage(registry, repo, { tags: ['x'] });
        registry.clock.advance(setMs);
      }
      await remove(registry, repo, 'x');
      expect(await restore(registry, `${repo}:x`)).toMatchObject({ digest: last?.digest });
    }
  });

  test('that leads to something else by now is not put back, and what it leads to is named', async () => {
    await using registry = await ServedRegistry.start(onlyTrash);
    const before = await pushImage(registry, repo, { tags: ['x'] });
    const after = await pushImage(registry, repo, { tags: ['x'] });
    const answer = await registry.admin('POST', '/trash/restore', { target: `${repo}:x` });
    const refusal = await expectRefusal(answer, 409, 'DENIED');
    expect(refusal.detail).toEqual({ tag: 'x', current: after.digest, digest: before.digest });
    expect(await isWhole(registry, repo, 'x', after)).toBe(true);
  });
});

describe('the trash', () => {
  async function filled(registry: ServedRegistry) {
    const [image, tagged] = [
      await pushImage(registry, repo, { tags: ['x', 'y'] }),
      await pushImage(registry, repo, { tags: ['z'] }),
    ];
    const elsewhere = await pushImage(registry, 'zoo', { tags: ['x'] });
    await remove(registry, repo, image.digest);
    await remove(registry, repo, 'z');
    await remove(registry, 'zoo', elsewhere.digest);
    return { image, tagged, elsewhere };
  }

  test('is listed in pages, of each repository the manifests first', async () => {
    await using registry = await ServedRegistry.start(onlyTrash);
    const { image, tagged, elsewhere } = await filled(registry);
    const own = [
      `${repo}@${image.digest}`,
      `${repo}:x@${image.digest}`,
      `${repo}:y@${image.digest}`,
      `${repo}:z@${tagged.digest}`,
    ];
    const other = [`zoo@${elsewhere.digest}`, `zoo:x@${elsewhere.digest}`];
    expect(await inTrash(registry)).toEqual([...own, ...other]);
    expect(await inTrash(registry, `&target=${repo}`)).toEqual(own);
    expect(await inTrash(registry, '&target=zoo')).toEqual(other);
  });

  test('that is emptied gives all of its bytes back, and can only say what would go first', async () => {
    await using registry = await ServedRegistry.start(onlyTrash);
    await filled(registry);
    const kept = await pushImage(registry, repo, { tags: ['kept'] });
    const empty = async (body: object) => await (await registry.admin('POST', '/trash/empty', body)).json();
    expect(await empty({ dryRun: true })).toEqual({
      manifests: 2,
      tags: 4,
      dryRun: true,
      wouldFree: { bytes: 600, blobs: 6 },
    });
    await registry.collected();
    expect(await registry.objectFiles()).toHaveLength(8);
    expect(await empty({})).toEqual({ manifests: 2, tags: 4, dryRun: false });
    await registry.collected();
    expect(await inTrash(registry)).toEqual([]);
    expect(await registry.objectFiles()).toHaveLength(2);
    expect(await isWhole(registry, repo, 'kept', kept)).toBe(true);
    expect(await empty({})).toEqual({ manifests: 0, tags: 0, dryRun: false });
  });

  test('can be emptied of one repository, one manifest or one tag', async () => {
    await using registry = await ServedRegistry.start(onlyTrash);
    const { image, elsewhere } = await filled(registry);
    const empty = async (target: string) => {
      await registry.admin('POST', '/trash/empty', { target });
      await registry.collected();
    };
    await empty(`${repo}:z`);
    expect(await inTrash(registry)).toHaveLength(5);
    await empty(`${repo}@${image.digest}`);
    expect(await inTrash(registry)).toEqual([`zoo@${elsewhere.digest}`, `zoo:x@${elsewhere.digest}`]);
    await empty('zoo');
    expect(await inTrash(registry)).toEqual([]);
    expect(registry.rows("select count(*) as n from event where kind like '%.emptied'")).toEqual([{ n: 6 }]);
  });

  test('that is emptied leaves what a client was told of until its lease ends (I7)', async () => {
    await using registry = await ServedRegistry.start({ ...onlyTrash, 'windows.lease': '6h' });
    const image: PushedImage = await pushImage(registry, repo, { tags: ['x'] });
    await remove(registry, repo, 'x');
    await registry.admin('POST', '/trash/empty', {});
    await registry.collected();
    expect(await isWhole(registry, repo, image.digest, image)).toBe(true);
    registry.clock.advance(12 * hour);
    await registry.collected();
    registry.clock.advance(12 * hour);
    await registry.collected();
    expect(await registry.objectFiles()).toEqual([]);
  });
});
