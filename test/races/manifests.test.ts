import { expect, test } from 'bun:test';
import { digestOf, freshBytes, imageOf } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { atOnce, day, expectWhole, hour, imageWith, push, remove, repo, rounds, statusOf } from './clients.ts';

test('deleting a digest leaves a tag alone that moves away from it at the same moment (R12)', async () => {
  await using registry = await ServedRegistry.start(atOnce);
  for (let round = 0; round < rounds; round++) {
    const before = await push(registry, 'x');
    const after = imageWith(freshBytes());
    for (const part of after.parts) await registry.pushBlob(repo, part);
    const [moved] = await Promise.all([
      registry.putManifest(repo, 'x', after.manifest),
      remove(registry, `manifests/${before.digest}`),
      registry.collected(),
    ]);
    await registry.collected();
    if (moved.status === 201) await expectWhole(registry, 'x', after);
    // Its blobs, held by nothing yet, may have gone before it came.
    else expect(moved.status).toBe(404);
  }
});

test('a manifest that is pushed again while it is deleted is there whole with its tag, or not at all (R13)', async () => {
  await using registry = await ServedRegistry.start(atOnce);
  for (let round = 0; round < rounds; round++) {
    const image = await push(registry, 'x');
    await Promise.all([
      remove(registry, `manifests/${image.digest}`),
      registry.putManifest(repo, 'x', image.manifest),
      registry.collected(),
    ]);
    await registry.collected();
    const isThere = (await statusOf(registry, 'manifests/x')) === 200;
    if (isThere) await expectWhole(registry, 'x', image);
    else expect(await statusOf(registry, `manifests/${image.digest}`)).toBe(404);
    await remove(registry, 'manifests/x');
  }
});

test('a tag that comes while its manifest is being reviewed keeps it, or is refused (R14)', async () => {
  await using registry = await ServedRegistry.start(atOnce);
  for (let round = 0; round < rounds; round++) {
    const tag = `y${round}`;
    const image = await push(registry, 'x');
    await remove(registry, 'manifests/x');
    const [tagged] = await Promise.all([registry.putManifest(repo, tag, image.manifest), registry.collected()]);
    await registry.collected();
    if (tagged.status === 201) await expectWhole(registry, tag, image);
    else expect(await statusOf(registry, `manifests/${tag}`)).toBe(404);
  }
});

test('a manifest that is pushed under two tags at once is accepted twice (R18)', async () => {
  await using registry = await ServedRegistry.start();
  for (let round = 0; round < rounds; round++) {
    const image = imageWith(freshBytes());
    for (const part of image.parts) await registry.pushBlob(repo, part);
    const answers = await Promise.all(
      ['x', 'y', image.digest].map(async (reference) => await registry.putManifest(repo, reference, image.manifest)),
    );
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201]);
    for (const tag of ['x', 'y']) await expectWhole(registry, tag, image);
  }
});

test('a manifest that is pushed again holds all that it needs, whatever an earlier push left (R19)', async () => {
  await using registry = await ServedRegistry.start(atOnce);
  const image = await push(registry, 'x');
  registry.tables.change('delete from manifest_blob');
  expect((await registry.putManifest(repo, 'x', image.manifest)).status).toBe(201);
  await registry.collected();
  await expectWhole(registry, 'x', image);
});

test('a manifest that nobody has pulled yet counts from its push (R24)', async () => {
  await using registry = await ServedRegistry.start({ ...atOnce, 'windows.neverTagged': '30d' });
  const image = await push(registry, undefined);
  registry.clock.advance(30 * day - 1);
  await registry.collected();
  await expectWhole(registry, image.digest, image);
});

test('a pull that is not written yet counts when the collector judges (R25)', async () => {
  const settings = { ...atOnce, 'windows.neverTagged': '30d', 'pulls.flush': '1h' };
  await using registry = await ServedRegistry.start(settings);
  const image = await push(registry, undefined);
  registry.clock.advance(30 * day - 1);
  expect(await statusOf(registry, `manifests/${image.digest}`)).toBe(200);
  registry.clock.advance(1);
  await registry.collected();
  await expectWhole(registry, image.digest, image);
});

test('so does one of the subject that holds what is judged (R25)', async () => {
  const settings = { ...atOnce, 'windows.neverTagged': '30d', 'pulls.flush': '1h', 'collector.batch': '1' };
  await using registry = await ServedRegistry.start(settings);
  const pairs: { readonly subject: string; readonly referrer: string }[] = [];
  // Whichever of the two comes first by its digest.
  for (let round = 0; round < 6; round++) {
    const { manifest, digest } = await push(registry, undefined);
    const config = freshBytes();
    await registry.pushBlob(repo, config);
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    const referrer = JSON.stringify({ ...imageOf(config), subject: { mediaType, digest, size: manifest.length } });
    expect((await registry.putManifest(repo, digestOf(referrer), referrer)).status).toBe(201);
    pairs.push({ subject: digest, referrer: digestOf(referrer) });
  }
  registry.clock.advance(30 * day - 1);
  for (const { subject } of pairs) expect(await statusOf(registry, `manifests/${subject}`)).toBe(200);
  registry.clock.advance(1);
  await registry.collected();
  for (const { referrer } of pairs) expect(await statusOf(registry, `manifests/${referrer}`, 'HEAD')).toBe(200);
});

test('a delete by digest, which takes all tags along, leaves everything in place for the trash window (R26)', async () => {
  await using registry = await ServedRegistry.start({ ...atOnce, 'windows.trash': '1h' });
  const image = await push(registry, 'x');
  await registry.putManifest(repo, 'y', image.manifest);
  expect(await remove(registry, `manifests/${image.digest}`)).toBe(202);
  for (const reference of ['x', 'y', image.digest]) {
    expect(await statusOf(registry, `manifests/${reference}`)).toBe(404);
  }
  registry.clock.advance(hour - 1);
  await registry.collected();
  expect(registry.rows('select name from tag_trash order by name')).toEqual([{ name: 'x' }, { name: 'y' }]);
  expect((await registry.putManifest(repo, 'x', image.manifest)).status).toBe(201);
  await expectWhole(registry, 'x', image);
});

test('a lease that ends too early, or a clock that is wrong, takes nothing that a tag needs (R42)', async () => {
  await using registry = await ServedRegistry.start(atOnce);
  const image = await push(registry, 'x');
  for (const years of [1, 100, -100]) {
    registry.clock.advance(years * 365 * day);
    await registry.collected();
    await expectWhole(registry, 'x', image);
  }
});
