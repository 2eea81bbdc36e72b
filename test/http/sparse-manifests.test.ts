import { expect, test } from 'bun:test';
import { digestOf, freshBytes, imageOf, indexOf, ociIndex, ociManifest } from './content.ts';
import { expectRefusal } from './refusal.ts';
import { ServedRegistry } from './served-registry.ts';

const repo = 'mirror/image';
const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip';
const unknownType = 'application/vnd.example.manifest.v1+json';

/** An index that lists one thing and says of what type it is. */
function indexOfOne(mediaType: string, content: Uint8Array | string): object {
  const size = typeof content === 'string' ? Buffer.byteLength(content) : content.byteLength;
  return { ...indexOf(), manifests: [{ mediaType, digest: digestOf(content), size }] };
}

test('takes an index some of whose manifests were never pushed where that is allowed, and only then', async () => {
  await using registry = await ServedRegistry.start({ 'manifests.sparse.indexes': 'allow' });
  const config = freshBytes();
  const child = JSON.stringify(imageOf(config));
  const index = JSON.stringify(indexOf(child));
  expect((await registry.putManifest(repo, 'x', index, ociIndex)).status).toBe(201);
  await expectRefusal(await registry.putManifest(repo, 'y', child), 404, 'MANIFEST_BLOB_UNKNOWN');
  const edge = { child: digestOf(child), present_child: null };
  expect(registry.rows('select child, present_child from manifest_child')).toEqual([edge]);

  // The child comes: from now on the index holds it (R20).
  await registry.pushBlob(repo, config);
  expect((await registry.putManifest(repo, digestOf(child), child)).status).toBe(201);
  expect(registry.rows('select child, present_child from manifest_child')).toEqual([
    { ...edge, present_child: edge.child },
  ]);
  const refused = await registry.send(`/v2/${repo}/manifests/${edge.child}`, { method: 'DELETE' });
  expect((await expectRefusal(refused, 409, 'DENIED')).detail).toEqual({
    digest: edge.child,
    indexes: [digestOf(index)],
  });
});

test('takes an image some of whose blobs were never pushed where that is allowed, and only then', async () => {
  await using registry = await ServedRegistry.start({ 'manifests.sparse.images': 'allow' });
  const [config, mountable] = [freshBytes(), freshBytes()];
  const image = JSON.stringify(imageOf(config, mountable));
  expect((await registry.putManifest(repo, 'x', image)).status).toBe(201);
  const absent = await registry.putManifest(repo, 'y', indexOf('never pushed'), ociIndex);
  await expectRefusal(absent, 404, 'MANIFEST_BLOB_UNKNOWN');
  const held = 'select digest from manifest_blob where link_digest is not null order by digest';
  expect(registry.rows(held)).toEqual([]);

  // The blobs come, one by a push and one by a mount: from now on the image holds them (R20).
  await registry.pushBlob(repo, config);
  await registry.pushBlob('other/image', mountable);
  const mount = `/v2/${repo}/blobs/uploads/?mount=${digestOf(mountable)}&from=other/image`;
  expect((await registry.send(mount, { method: 'POST' })).status).toBe(201);
  expect(registry.rows(held)).toEqual([digestOf(config), digestOf(mountable)].toSorted().map((digest) => ({ digest })));
  for (const blob of [config, mountable]) {
    const refused = await registry.send(`/v2/${repo}/blobs/${digestOf(blob)}`, { method: 'DELETE' });
    await expectRefusal(refused, 405, 'DENIED');
  }
});

test('holds the layers that a build cache lists in an index', async () => {
  await using registry = await ServedRegistry.start();
  const layer = freshBytes();
  await registry.pushBlob(repo, layer);
  const index = indexOfOne(layerType, layer);
  expect((await registry.putManifest(repo, 'cache', index, ociIndex)).status).toBe(201);
  const refused = await registry.send(`/v2/${repo}/blobs/${digestOf(layer)}`, { method: 'DELETE' });
  await expectRefusal(refused, 405, 'DENIED');
});

test('holds a blob that comes through an upload session, in its repository only', async () => {
  await using registry = await ServedRegistry.start({ 'manifests.sparse.images': 'allow' });
  const config = freshBytes();
  for (const name of [repo, 'other/image']) await registry.putManifest(name, 'x', imageOf(config));
  const opened = await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
  const location = opened.headers.get('location') ?? '';
  expect((await registry.send(location, { method: 'PATCH', body: config })).status).toBe(202);
  const closed = await registry.send(`${location}?digest=${digestOf(config)}`, { method: 'PUT' });
  expect(closed.status).toBe(201);
  expect(registry.rows('select repo, link_digest from manifest_blob order by repo')).toEqual([
    { repo, link_digest: digestOf(config) },
    { repo: 'other/image', link_digest: null },
  ]);
});

test.each([unknownType, layerType, ociManifest])(
  'holds a manifest that comes after an index which lists it as %s',
  async (listedAs) => {
    await using registry = await ServedRegistry.start({ 'manifests.sparse.indexes': 'allow' });
    const config = freshBytes();
    await registry.pushBlob(repo, config);
    const child = JSON.stringify({ ...imageOf(config), mediaType: unknownType });
    const index = JSON.stringify(indexOfOne(listedAs, child));
    expect((await registry.putManifest(repo, 'x', index, ociIndex)).status).toBe(201);
    const path = `/v2/${repo}/manifests/${digestOf(child)}`;
    expect((await registry.putManifest(repo, digestOf(child), child, unknownType)).status).toBe(201);
    const refused = await registry.send(path, { method: 'DELETE' });
    expect((await expectRefusal(refused, 409, 'DENIED')).detail['indexes']).toEqual([digestOf(index)]);
    expect(registry.rows('select present_child from manifest_child')).toEqual([{ present_child: digestOf(child) }]);
  },
);

test.each([unknownType, layerType, ociManifest, ociIndex])(
  'holds a blob that comes after an index which lists it as %s',
  async (listedAs) => {
    await using registry = await ServedRegistry.start({ 'manifests.sparse.indexes': 'allow' });
    const [pushed, mounted] = [freshBytes(), freshBytes()];
    for (const [tag, blob] of Object.entries({ pushed, mounted })) {
      expect((await registry.putManifest(repo, tag, indexOfOne(listedAs, blob), ociIndex)).status).toBe(201);
    }
    await registry.pushBlob(repo, pushed);
    await registry.pushBlob('other/image', mounted);
    const mount = `/v2/${repo}/blobs/uploads/?mount=${digestOf(mounted)}`;
    expect((await registry.send(mount, { method: 'POST' })).status).toBe(201);
    for (const blob of [pushed, mounted]) {
      const refused = await registry.send(`/v2/${repo}/blobs/${digestOf(blob)}`, { method: 'DELETE' });
      await expectRefusal(refused, 405, 'DENIED');
    }
  },
);

test('holds a manifest whose bytes were a blob when the index that lists it came', async () => {
  await using registry = await ServedRegistry.start();
  const config = freshBytes();
  await registry.pushBlob(repo, config);
  const child = JSON.stringify(imageOf(config));
  await registry.pushBlob(repo, new TextEncoder().encode(child));
  expect((await registry.putManifest(repo, 'x', indexOf(child), ociIndex)).status).toBe(201);
  expect((await registry.putManifest(repo, digestOf(child), child)).status).toBe(201);
  const refused = await registry.send(`/v2/${repo}/manifests/${digestOf(child)}`, { method: 'DELETE' });
  await expectRefusal(refused, 409, 'DENIED');
});

test('does not hold a deleted child when the index comes again, until the child does', async () => {
  await using registry = await ServedRegistry.start({ 'manifests.sparse.indexes': 'allow' });
  const config = freshBytes();
  await registry.pushBlob(repo, config);
  const child = JSON.stringify(imageOf(config));
  const index = JSON.stringify(indexOf(child));
  const present = () => registry.rows('select present_child from manifest_child');
  const pushIndex = async () => (await registry.putManifest(repo, 'x', index, ociIndex)).status;
  const pushChild = async () => (await registry.putManifest(repo, digestOf(child), child)).status;
  expect([await pushChild(), await pushIndex()]).toEqual([201, 201]);
  expect(present()).toEqual([{ present_child: digestOf(child) }]);

  for (const text of [index, child]) {
    expect((await registry.send(`/v2/${repo}/manifests/${digestOf(text)}`, { method: 'DELETE' })).status).toBe(202);
  }
  expect(await pushIndex()).toBe(201);
  expect(present()).toEqual([{ present_child: null }]);
  expect(await pushChild()).toBe(201);
  expect(present()).toEqual([{ present_child: digestOf(child) }]);
});
