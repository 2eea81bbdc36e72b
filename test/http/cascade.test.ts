import { describe, expect, test } from 'bun:test';
import { StubbornDisk } from '../purge/stubborn-disk.ts';
import { digestOf, freshBytes, imageOf, indexOf, layerDescriptor } from './content.ts';
import { ServedRegistry, type Settings } from './served-registry.ts';

const repo = 'team/app';
const hour = 3_600_000;
const day = 24 * hour;
/** What is deleted may go at once, and nothing is kept for a client that has only asked. */
const atOnce: Settings = {
  'windows.lease': '0',
  'windows.trash': '0',
  'windows.condemned': '0',
  'windows.neverTagged': '0',
};

interface PushedImage {
  readonly manifest: string;
  readonly digest: string;
  readonly blobs: readonly string[];
}

/** Pushes an image of fresh bytes and of `shared` ones. */
async function pushImage(
  registry: ServedRegistry,
  reference: string | undefined,
  { into = repo, shared = [], more = {} }: { into?: string; shared?: readonly Uint8Array[]; more?: object } = {},
): Promise<PushedImage> {
  const parts = [freshBytes(), freshBytes(), ...shared];
  const blobs = [];
  for (const part of parts) blobs.push(await registry.pushBlob(into, part));
  const [config = freshBytes(), ...layers] = parts;
  const manifest = JSON.stringify({ ...imageOf(config, ...layers), ...more });
  const digest = digestOf(manifest);
  expect((await registry.putManifest(into, reference ?? digest, manifest)).status).toBe(201);
  return { manifest, digest, blobs };
}

async function pushIndex(
  registry: ServedRegistry,
  reference: string,
  ...manifests: readonly string[]
): Promise<string> {
  const index = JSON.stringify(indexOf(...manifests));
  const answer = await registry.putManifest(repo, reference, index, 'application/vnd.oci.image.index.v1+json');
  expect(answer.status).toBe(201);
  return digestOf(index);
}

async function remove(registry: ServedRegistry, reference: string, from = repo): Promise<void> {
  expect((await registry.send(`/v2/${from}/manifests/${reference}`, { method: 'DELETE' })).status).toBe(202);
}

/** The manifests that there are, and how many links, objects and files of blobs. */
async function held(registry: ServedRegistry) {
  const count = (table: string) => registry.rows<{ n: number }>(`select count(*) as n from ${table}`)[0]?.n;
  return {
    manifests: registry
      .rows<{ digest: string }>('select digest from manifest order by digest')
      .map((row) => row.digest),
    links: count('link'),
    objects: count('object'),
    files: (await registry.objectFiles()).length,
  };
}

function manifestsOf(...digests: readonly string[]): string[] {
  return digests.toSorted();
}

const nothing = { manifests: [], links: 0, objects: 0, files: 0 };

/** Lets the windows of an hour pass, each of those that begin when the one before is over. */
async function hoursPass(registry: ServedRegistry): Promise<void> {
  for (let count = 0; count < 5; count++) {
    registry.clock.advance(hour);
    await registry.collected();
  }
}

/** Every row that is about content or a task, but for what happened: none is left when nothing is. */
function leftovers(registry: ServedRegistry): readonly string[] {
  const tables = ['repository', 'object', 'upload', 'link', 'manifest', 'manifest_blob', 'manifest_child', 'tag'];
  return [...tables, 'tag_trash', 'task'].filter((table) => registry.rows(`select * from ${table}`).length > 0);
}

describe('with the last tag of an image', () => {
  test('go its manifest, its config and its layers, their bytes included', async () => {
    await using registry = await ServedRegistry.start(atOnce);
    await pushImage(registry, 'x');
    await remove(registry, 'x');
    await registry.collected();
    expect(await held(registry)).toEqual(nothing);
    await hoursPass(registry);
    expect(leftovers(registry)).toEqual([]);
  });

  test('goes nothing that another image of the repository needs', async () => {
    await using registry = await ServedRegistry.start(atOnce);
    const shared = freshBytes();
    await pushImage(registry, 'x', { shared: [shared] });
    const other = await pushImage(registry, 'y', { shared: [shared] });
    await remove(registry, 'x');
    await registry.collected();
    expect(await held(registry)).toEqual({ manifests: [other.digest], links: 3, objects: 3, files: 3 });
    for (const blob of other.blobs) expect((await registry.send(`/v2/${repo}/blobs/${blob}`)).status).toBe(200);
  });

  test('go its links in its own repository only: the bytes stay for others (R45)', async () => {
    await using registry = await ServedRegistry.start(atOnce);
    const shared = freshBytes();
    const image = await pushImage(registry, 'x', { shared: [shared] });
    const other = await pushImage(registry, 'x', { into: 'other', shared: [shared] });
    await remove(registry, 'x');
    await registry.collected();
    expect(await held(registry)).toEqual({ manifests: [other.digest], links: 3, objects: 3, files: 3 });
    expect((await registry.send(`/v2/${repo}/blobs/${image.blobs[2]}`)).status).toBe(404);
    expect((await registry.send(`/v2/other/blobs/${image.blobs[2]}`)).status).toBe(200);
  });

  test('goes nothing before the trash window is over', async () => {
    await using registry = await ServedRegistry.start({ ...atOnce, 'windows.trash': '72h' });
    const image = await pushImage(registry, 'x');
    await remove(registry, 'x');
    registry.clock.advance(72 * hour - 1);
    await registry.collected();
    expect((await held(registry)).manifests).toEqual([image.digest]);
    registry.clock.advance(1);
    await registry.collected();
    expect(await held(registry)).toEqual(nothing);
  });

  test('go its bytes when the condemned delay is over, and not before (R46)', async () => {
    await using registry = await ServedRegistry.start({ ...atOnce, 'windows.condemned': '10m' });
    await pushImage(registry, 'x');
    await remove(registry, 'x');
    await registry.collected();
    expect(await held(registry)).toEqual({ ...nothing, objects: 2, files: 2 });
    registry.clock.advance(600_000);
    await registry.collected();
    expect(await held(registry)).toEqual(nothing);
  });
});

describe('a manifest', () => {
  test('that lost its tag to another goes when the trash window of the tag is over (R23)', async () => {
    await using registry = await ServedRegistry.start({ ...atOnce, 'windows.trash': '1h' });
    const before = await pushImage(registry, 'x');
    const after = await pushImage(registry, 'x');
    await registry.collected();
    expect((await held(registry)).manifests).toEqual(manifestsOf(before.digest, after.digest));
    registry.clock.advance(hour);
    await registry.collected();
    expect((await held(registry)).manifests).toEqual([after.digest]);
  });

  test('keeps its other tags', async () => {
    await using registry = await ServedRegistry.start(atOnce);
    const image = await pushImage(registry, 'x');
    await registry.putManifest(repo, 'y', image.manifest);
    await remove(registry, 'x');
    await registry.collected();
    expect((await registry.send(`/v2/${repo}/manifests/y`)).status).toBe(200);
  });

  test('that has another tag is reviewed when a deleted tag of it leaves the trash, also where it was before', async () => {
    await using registry = await ServedRegistry.start({ ...atOnce, 'windows.trash': '1h' });
    const { manifest } = await pushImage(registry, 'x');
    expect((await registry.putManifest(repo, 'y', manifest)).status).toBe(201);
    await remove(registry, 'y');
    await registry.collected();
    expect(registry.rows('select name from tag_trash')).toHaveLength(1);
    registry.clock.advance(hour);
    await registry.collected();
    expect(registry.rows('select name from tag_trash')).toEqual([]);
    expect((await registry.send(`/v2/${repo}/manifests/x`)).status).toBe(200);
  });

  test('deleted by its digest goes after the trash window with all that it needs', async () => {
    await using registry = await ServedRegistry.start({ ...atOnce, 'windows.trash': '1h' });
    const image = await pushImage(registry, 'x');
    await remove(registry, image.digest);
    await registry.collected();
    expect(await held(registry)).toEqual({ manifests: [image.digest], links: 2, objects: 2, files: 2 });
    registry.clock.advance(hour);
    await registry.collected();
    expect(await held(registry)).toEqual(nothing);
  });

  test('that never had a tag stays for a window of its own since it was last used', async () => {
    await using registry = await ServedRegistry.start({ ...atOnce, 'windows.neverTagged': '30d' });
    const image = await pushImage(registry, undefined);
    registry.clock.advance(29 * day);
    await registry.collected();
    await registry.send(`/v2/${repo}/manifests/${image.digest}`);
    await registry.stop();
    await registry.resume({ ...atOnce, 'windows.neverTagged': '30d' });
    registry.clock.advance(29 * day);
    await registry.collected();
    expect((await held(registry)).manifests).toEqual([image.digest]);
    registry.clock.advance(day);
    await registry.collected();
    expect(await held(registry)).toEqual(nothing);
  });
});

test('a tag in the trash is forgotten when its time is over, also where the manifest has another one (R23)', async () => {
  await using registry = await ServedRegistry.start({ ...atOnce, 'windows.trash': '1h' });
  const image = await pushImage(registry, 'x');
  await registry.putManifest(repo, 'y', image.manifest);
  await remove(registry, 'x');
  await registry.collected();
  expect(registry.rows('select name from tag_trash')).toEqual([{ name: 'x' }]);
  await hoursPass(registry);
  expect(leftovers(registry)).not.toContain('tag_trash');
});

describe('an index', () => {
  test('of nothing takes its repository along, as the last thing in it', async () => {
    await using registry = await ServedRegistry.start(atOnce);
    await pushIndex(registry, 'x');
    await remove(registry, 'x');
    await hoursPass(registry);
    expect(leftovers(registry)).toEqual([]);
  });

  test('takes its children along, but for those that a tag or another index holds (R16)', async () => {
    await using registry = await ServedRegistry.start(atOnce);
    const [alone, tagged, listed] = [
      await pushImage(registry, undefined),
      await pushImage(registry, 'tagged'),
      await pushImage(registry, undefined),
    ];
    await pushIndex(registry, 'x', alone.manifest, tagged.manifest, listed.manifest);
    const other = await pushIndex(registry, 'y', listed.manifest);
    await registry.collected();
    await remove(registry, 'x');
    await registry.collected();
    expect((await held(registry)).manifests).toEqual(manifestsOf(tagged.digest, listed.digest, other));
  });

  test('that is held keeps its children, whatever their own windows say', async () => {
    await using registry = await ServedRegistry.start({ ...atOnce, 'windows.lease': '1h' });
    const child = await pushImage(registry, undefined);
    const index = await pushIndex(registry, 'x', child.manifest);
    registry.clock.advance(40 * day);
    await registry.collected();
    expect((await held(registry)).manifests).toEqual(manifestsOf(child.digest, index));
  });

  test('that lists its own subject keeps neither of them (R50)', async () => {
    await using registry = await ServedRegistry.start({ ...atOnce, 'windows.lease': '1h' });
    const subject = await pushImage(registry, 'x');
    const index = JSON.stringify({
      ...indexOf(subject.manifest),
      subject: { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: subject.digest, size: 1 },
    });
    await registry.putManifest(repo, 'y', index, 'application/vnd.oci.image.index.v1+json');
    await remove(registry, 'x');
    await remove(registry, 'y');
    await hoursPass(registry);
    expect(await held(registry)).toEqual(nothing);
    await hoursPass(registry);
    expect(leftovers(registry)).toEqual([]);
  });
});

describe('a referrer', () => {
  const subjectOf = ({ digest, manifest }: PushedImage) => ({
    subject: { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: manifest.length },
  });

  test('stays as long as its subject, and goes with it (R21)', async () => {
    await using registry = await ServedRegistry.start({ ...atOnce, 'windows.lease': '1h' });
    const subject = await pushImage(registry, 'x');
    const referrer = await pushImage(registry, undefined, { more: subjectOf(subject) });
    registry.clock.advance(2 * hour);
    await registry.collected();
    expect((await held(registry)).manifests).toEqual(manifestsOf(subject.digest, referrer.digest));
    await remove(registry, 'x');
    await hoursPass(registry);
    expect(await held(registry)).toEqual(nothing);
  });

  test('pushed before its subject waits for it (R21)', async () => {
    await using registry = await ServedRegistry.start({ 'windows.neverTagged': '30d' });
    const bytes = freshBytes();
    const manifest = JSON.stringify(imageOf(bytes));
    const subject = { digest: digestOf(manifest), manifest, blobs: [] };
    const referrer = await pushImage(registry, undefined, { more: subjectOf(subject) });
    registry.clock.advance(29 * day);
    await registry.collected();
    await registry.pushBlob(repo, bytes);
    await registry.putManifest(repo, 'x', manifest);
    registry.clock.advance(60 * day);
    await registry.collected();
    expect((await held(registry)).manifests).toEqual(manifestsOf(subject.digest, referrer.digest));
  });

  test.each(['.sig', '.att', '.sbom', ''])(
    'kept by a tag that names its subject, with "%s", goes with it too',
    async (suffix) => {
      await using registry = await ServedRegistry.start(atOnce);
      const subject = await pushImage(registry, 'x');
      await pushImage(registry, subject.digest.replace(':', '-') + suffix);
      await registry.collected();
      expect((await held(registry)).manifests?.length).toBe(2);
      await remove(registry, 'x');
      await registry.collected();
      expect(await held(registry)).toEqual(nothing);
      await hoursPass(registry);
      expect(leftovers(registry)).toEqual([]);
    },
  );
});

describe('a push that was broken off', () => {
  test('leaves its blobs until their leases end', async () => {
    await using registry = await ServedRegistry.start({ 'windows.lease': '6h', 'windows.condemned': '0' });
    await registry.pushBlob(repo, freshBytes());
    registry.clock.advance(6 * hour - 1);
    await registry.collected();
    expect((await held(registry)).files).toBe(1);
    registry.clock.advance(1);
    await registry.collected();
    expect(await held(registry)).toEqual(nothing);
  });

  test('in the middle of a blob leaves nothing once the upload times out (R28)', async () => {
    await using registry = await ServedRegistry.start({ 'windows.upload': '24h' });
    const session = await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
    await registry.send(session.headers.get('location') ?? '', { method: 'PATCH', body: freshBytes() });
    registry.clock.advance(day - 1);
    await registry.collected();
    expect((await held(registry)).files).toBe(1);
    registry.clock.advance(1);
    await registry.collected();
    expect(await held(registry)).toEqual(nothing);
    await hoursPass(registry);
    expect(leftovers(registry)).toEqual([]);
  });

  test('that is cancelled leaves nothing in the end, though its bytes cannot be removed at first (I9)', async () => {
    const disk = new StubbornDisk();
    disk.keeps = () => true;
    await using registry = await ServedRegistry.start({}, disk.syncs);
    const session = await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
    const location = session.headers.get('location') ?? '';
    await registry.send(location, { method: 'PATCH', body: freshBytes() });
    expect((await registry.send(location, { method: 'DELETE' })).status).toBe(204);
    await registry.collected();
    expect(registry.rows('select state from object')).toEqual([{ state: 'dead' }]);
    disk.keeps = () => false;
    await hoursPass(registry);
    expect(leftovers(registry)).toEqual([]);
  });

  test('whose upload goes on keeps what it was told is there, beyond the lease (R1, I7)', async () => {
    await using registry = await ServedRegistry.start({ 'windows.lease': '1h', 'windows.condemned': '0' });
    const there = freshBytes();
    const digest = await registry.pushBlob(repo, there);
    const session = await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
    for (let round = 0; round < 20; round++) {
      registry.clock.advance(10 * 60_000);
      await registry.collected();
    }
    expect((await registry.send(`/v2/${repo}/blobs/${digest}`)).status).toBe(200);
    const config = freshBytes();
    const closing = `${session.headers.get('location') ?? ''}?digest=${digestOf(config)}`;
    expect((await registry.send(closing, { method: 'PUT', body: config })).status).toBe(201);
    expect((await registry.putManifest(repo, 'x', imageOf(config, there))).status).toBe(201);
  });
});

describe('a lease', () => {
  test('that another client renewed while an upload goes on still outlasts the upload (R1, I7)', async () => {
    await using registry = await ServedRegistry.start({ ...atOnce, 'windows.lease': '1h' });
    const there = freshBytes();
    const digest = await registry.pushBlob(repo, there);
    const session = await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
    registry.clock.advance(hour / 2 + 1);
    expect((await registry.send(`/v2/${repo}/blobs/${digest}`, { method: 'HEAD' })).status).toBe(200);
    await hoursPass(registry);
    const config = freshBytes();
    const closing = `${session.headers.get('location') ?? ''}?digest=${digestOf(config)}`;
    expect((await registry.send(closing, { method: 'PUT', body: config })).status).toBe(201);
    expect((await registry.putManifest(repo, 'x', imageOf(config, there))).status).toBe(201);
  });

  test('that an upload has outlasted goes on for the push that the upload was for, and not for ever (R1, I7)', async () => {
    await using registry = await ServedRegistry.start({ ...atOnce, 'windows.lease': '1h', 'windows.upload': '24h' });
    const [there, forgotten, config] = [freshBytes(), freshBytes(), freshBytes()];
    for (const bytes of [there, forgotten]) await registry.pushBlob(repo, bytes);
    const session = await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
    await hoursPass(registry);
    const closing = `${session.headers.get('location') ?? ''}?digest=${digestOf(config)}`;
    expect((await registry.send(closing, { method: 'PUT', body: config })).status).toBe(201);
    // As long as the blob that has just come.
    registry.clock.advance(hour - 1);
    await registry.collected();
    expect((await registry.putManifest(repo, 'x', imageOf(config, there))).status).toBe(201);
    registry.clock.advance(1);
    await registry.collected();
    expect((await registry.send(`/v2/${repo}/blobs/${digestOf(forgotten)}`)).status).toBe(404);
    expect((await registry.send(`/v2/${repo}/blobs/${digestOf(there)}`)).status).toBe(200);
  });

  test('that an upload has outlasted ends with the upload where that is given up', async () => {
    await using registry = await ServedRegistry.start({ ...atOnce, 'windows.lease': '1h', 'windows.upload': '24h' });
    const digest = await registry.pushBlob(repo, freshBytes());
    const session = await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
    await hoursPass(registry);
    const location = session.headers.get('location') ?? '';
    expect((await registry.send(location, { method: 'DELETE' })).status).toBe(204);
    registry.clock.advance(10 * 60_000);
    await registry.collected();
    expect((await registry.send(`/v2/${repo}/blobs/${digest}`)).status).toBe(404);
  });

  test('that a HEAD of a manifest renewed keeps all below it (R15)', async () => {
    await using registry = await ServedRegistry.start({ ...atOnce, 'windows.lease': '1h' });
    const child = await pushImage(registry, undefined);
    registry.clock.advance(59 * 60_000);
    expect((await registry.send(`/v2/${repo}/manifests/${child.digest}`, { method: 'HEAD' })).status).toBe(200);
    registry.clock.advance(59 * 60_000);
    await registry.collected();
    await pushIndex(registry, 'x', child.manifest);
    for (const blob of child.blobs) expect((await registry.send(`/v2/${repo}/blobs/${blob}`)).status).toBe(200);
  });

  test('of a blob that a push of the same bytes renewed outlives the collection of the rest (R7)', async () => {
    await using registry = await ServedRegistry.start({ ...atOnce, 'windows.lease': '1h' });
    const bytes = freshBytes();
    await registry.pushBlob(repo, bytes);
    registry.clock.advance(hour);
    await registry.pushBlob(repo, bytes);
    await registry.collected();
    expect((await registry.putManifest(repo, 'x', imageOf(bytes))).status).toBe(201);
  });
});

describe('a push of what is being collected', () => {
  test('gets an object of its own: condemned bytes never come back (R5)', async () => {
    await using registry = await ServedRegistry.start({ ...atOnce, 'windows.condemned': '10m' });
    const bytes = freshBytes();
    const digest = await registry.pushBlob(repo, bytes);
    await registry.collected();
    const [before] = registry.rows<{ oid: string; state: string }>('select oid, state from object');
    expect(before?.state).toBe('condemned');
    await registry.pushBlob(repo, bytes);
    expect((await registry.putManifest(repo, 'x', imageOf(bytes))).status).toBe(201);
    registry.clock.advance(600_000);
    await registry.collected();
    const objects = registry.rows<{ oid: string; state: string }>('select oid, state from object');
    expect(objects.map(({ state }) => state)).toEqual(['live']);
    expect(objects[0]?.oid).not.toBe(before?.oid);
    expect(await (await registry.send(`/v2/${repo}/blobs/${digest}`)).bytes()).toEqual(bytes);
    expect(await registry.objectFiles()).toEqual(objects.map(({ oid }) => oid));
  });
});

test('an absent layer is no hold and no leak: what was never here leaves nothing (R20)', async () => {
  await using registry = await ServedRegistry.start({ ...atOnce, 'manifests.sparse': 'allow' });
  const [config, absent] = [freshBytes(), freshBytes()];
  await registry.pushBlob(repo, config);
  const manifest = { ...imageOf(config), layers: [layerDescriptor(absent)] };
  expect((await registry.putManifest(repo, 'x', manifest)).status).toBe(201);
  await registry.collected();
  await remove(registry, 'x');
  await registry.collected();
  expect(await held(registry)).toEqual(nothing);
  await hoursPass(registry);
  expect(leftovers(registry)).toEqual([]);
});

test('a repository is forgotten with the last thing in it, though that needed no blob', async () => {
  await using registry = await ServedRegistry.start(atOnce);
  await pushIndex(registry, 'x');
  await remove(registry, 'x');
  await registry.collected();
  expect(leftovers(registry)).toEqual([]);
  expect((await registry.send(`/v2/${repo}/tags/list`)).status).toBe(404);
});

describe('a clock that is set', () => {
  test('far ahead ends nothing for a while, in which it can be set right (R42)', async () => {
    await using registry = await ServedRegistry.start({ 'windows.lease': '6h' });
    await registry.pushBlob(repo, freshBytes());
    registry.clock.set(365 * day);
    await registry.collected();
    expect((await held(registry)).files).toBe(1);
    registry.clock.advance(10 * 60_000);
    registry.clock.set(-365 * day);
    await registry.collected();
    registry.clock.advance(20 * 60_000);
    await registry.collected();
    expect((await held(registry)).files).toBe(1);
    expect(registry.logged.join('')).toContain('the clock was set');
  });

  test('and stays so is believed in the end', async () => {
    await using registry = await ServedRegistry.start({ 'windows.lease': '6h', 'windows.condemned': '0' });
    await registry.pushBlob(repo, freshBytes());
    registry.clock.set(365 * day);
    await registry.collected();
    registry.clock.advance(20 * 60_000);
    await registry.collected();
    expect((await held(registry)).files).toBe(0);
  });

  test('never takes away what is referenced', async () => {
    await using registry = await ServedRegistry.start(atOnce);
    const image = await pushImage(registry, 'x');
    for (const ms of [400 * day, -800 * day]) {
      registry.clock.set(ms);
      registry.clock.advance(hour);
      await registry.collected();
    }
    expect((await held(registry)).manifests).toEqual([image.digest]);
  });
});

test('a layer that its manifest came back from the trash without is let go of', async () => {
  await using registry = await ServedRegistry.start({ ...atOnce, 'windows.trash': '1h' });
  const [config, layer] = [freshBytes(), freshBytes()];
  await registry.pushBlob(repo, config);
  const digest = await registry.pushBlob(repo, layer);
  const mediaType = 'application/vnd.oci.image.layer.nondistributable.v1.tar';
  const manifest = JSON.stringify({ ...imageOf(config), layers: [{ ...layerDescriptor(layer), mediaType }] });
  await registry.putManifest(repo, 'x', manifest);
  await remove(registry, digestOf(manifest));
  expect((await registry.send(`/v2/${repo}/blobs/${digest}`, { method: 'DELETE' })).status).toBe(202);
  await registry.collected();
  expect((await registry.putManifest(repo, 'x', manifest)).status).toBe(201);
  await hoursPass(registry);
  expect(await held(registry)).toEqual({ manifests: [digestOf(manifest)], links: 1, objects: 1, files: 1 });
});
