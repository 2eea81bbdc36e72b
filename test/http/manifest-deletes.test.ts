import { expect, test } from 'bun:test';
import { digestOf, freshBytes, imageOf, indexOf, ociIndex } from './content.ts';
import { expectRefusal } from './refusal.ts';
import { ServedRegistry } from './served-registry.ts';

const repo = 'deletes/image';
const day = 86_400_000;

async function pushImage(registry: ServedRegistry, ...tags: readonly string[]): Promise<string> {
  const config = freshBytes();
  await registry.pushBlob(repo, config);
  const text = JSON.stringify(imageOf(config));
  const parameters = tags.map((tag) => `tag=${tag}`).join('&');
  expect((await registry.putManifest(repo, `${digestOf(text)}?${parameters}`, text)).status).toBe(201);
  return text;
}

async function statusOf(registry: ServedRegistry, reference: string, method = 'GET'): Promise<number> {
  return (await registry.send(`/v2/${repo}/manifests/${reference}`, { method })).status;
}

test('deletes a tag at once, and nothing but the tag', async () => {
  await using registry = await ServedRegistry.start({ 'windows.trash': '1d' });
  const digest = digestOf(await pushImage(registry, 'x', 'y'));
  registry.clock.advance(1000);
  expect(await statusOf(registry, 'x', 'DELETE')).toBe(202);
  expect(await statusOf(registry, 'x')).toBe(404);
  expect(await statusOf(registry, 'y')).toBe(200);
  expect(await statusOf(registry, digest)).toBe(200);
  const now = registry.clock.now();
  expect(registry.rows('select * from tag_trash')).toEqual([
    { repo, name: 'x', manifest: digest, trashed_at: now, purge_after: now + day },
  ]);
});

test('deletes a manifest at once with all its tags, and no others', async () => {
  await using registry = await ServedRegistry.start({ 'windows.trash': '1d', 'windows.lease': '2d' });
  const text = await pushImage(registry, 'x', 'y');
  await pushImage(registry, 'z');
  const digest = digestOf(text);
  const answer = await registry.send(`/v2/${repo}/manifests/${digest}`, { method: 'DELETE' });
  expect(answer.status).toBe(202);
  for (const reference of ['x', 'y', digest]) {
    expect(await statusOf(registry, reference)).toBe(404);
    expect(await statusOf(registry, reference, 'HEAD')).toBe(404);
  }
  expect(await statusOf(registry, 'z')).toBe(200);
  expect(registry.rows('select name from tag_trash order by name')).toEqual([{ name: 'x' }, { name: 'y' }]);
  // It waits in the trash, with everything that it needs, and is looked at when its time is over.
  const due = registry.clock.now() + day;
  expect(registry.rows('select trash_until from manifest where digest = ?', digest)).toEqual([{ trash_until: due }]);
  expect(registry.rows("select due_at from task where kind = 'manifest' and key2 = ?", digest)).toEqual([
    { due_at: due },
  ]);
  expect(registry.rows('select digest from manifest_blob where manifest = ?', digest)).toHaveLength(1);
});

test('keeps a manifest that a visible index lists, and names the index (R17)', async () => {
  await using registry = await ServedRegistry.start();
  const child = await pushImage(registry, 'child');
  const index = JSON.stringify(indexOf(child));
  await registry.putManifest(repo, 'all', index, ociIndex);
  const remove = async () => await registry.send(`/v2/${repo}/manifests/${digestOf(child)}`, { method: 'DELETE' });
  const refusal = await expectRefusal(await remove(), 409, 'DENIED');
  expect(refusal.detail).toEqual({ digest: digestOf(child), indexes: [digestOf(index)] });
  expect(refusal.message).toContain(digestOf(index));
  expect(await statusOf(registry, 'child')).toBe(200);

  expect(await statusOf(registry, digestOf(index), 'DELETE')).toBe(202);
  expect((await remove()).status).toBe(202);
});

test('brings a deleted manifest back with a new push', async () => {
  await using registry = await ServedRegistry.start();
  const text = await pushImage(registry, 'x');
  expect(await statusOf(registry, digestOf(text), 'DELETE')).toBe(202);
  expect((await registry.putManifest(repo, 'again', text)).status).toBe(201);
  for (const reference of ['again', digestOf(text)]) expect(await statusOf(registry, reference)).toBe(200);
  expect(await statusOf(registry, 'x')).toBe(404);
});

test('does not delete what is not there', async () => {
  await using registry = await ServedRegistry.start();
  await pushImage(registry, 'x');
  expect(await statusOf(registry, 'x', 'DELETE')).toBe(202);
  for (const reference of ['x', digestOf('unknown')]) {
    const answer = await registry.send(`/v2/${repo}/manifests/${reference}`, { method: 'DELETE' });
    await expectRefusal(answer, 404, 'MANIFEST_UNKNOWN');
  }
});

test('deletes in one repository, and leaves the same manifest in another', async () => {
  await using registry = await ServedRegistry.start();
  const config = freshBytes();
  const text = JSON.stringify(imageOf(config));
  for (const name of [repo, 'deletes/other']) {
    await registry.pushBlob(name, config);
    expect((await registry.putManifest(name, 'x', text)).status).toBe(201);
  }
  expect(await statusOf(registry, digestOf(text), 'DELETE')).toBe(202);
  for (const reference of ['x', digestOf(text)]) {
    expect((await registry.send(`/v2/deletes/other/manifests/${reference}`)).status).toBe(200);
  }
});

test('takes no index that lists a deleted manifest until it is pushed again', async () => {
  await using registry = await ServedRegistry.start();
  const child = await pushImage(registry, 'child');
  const index = JSON.stringify(indexOf(child));
  const put = async () => await registry.putManifest(repo, 'all', index, ociIndex);
  expect((await put()).status).toBe(201);
  for (const text of [index, child]) expect(await statusOf(registry, digestOf(text), 'DELETE')).toBe(202);
  const { detail } = await expectRefusal(await put(), 404, 'MANIFEST_BLOB_UNKNOWN');
  expect(detail).toEqual({ blobs: [], manifests: [digestOf(child)] });

  expect((await registry.putManifest(repo, digestOf(child), child)).status).toBe(201);
  expect((await put()).status).toBe(201);
  expect(registry.rows('select state, trash_until from manifest')).toEqual([
    { state: 'live', trash_until: null },
    { state: 'live', trash_until: null },
  ]);
});

test('reviews what a deleted and what an overwritten tag pointed at once the trash lets go of it', async () => {
  await using registry = await ServedRegistry.start({ 'windows.trash': '1d', 'windows.lease': '3d' });
  const [deleted, overwritten] = [await pushImage(registry, 'x'), await pushImage(registry, 'y')].map((text) =>
    digestOf(text),
  );
  registry.clock.advance(1000);
  const now = registry.clock.now();
  expect(await statusOf(registry, 'x', 'DELETE')).toBe(202);
  const successor = digestOf(await pushImage(registry, 'y'));
  const due = new Map(
    registry
      .rows<{ readonly key2: string; readonly due_at: number }>("select key2, due_at from task where kind = 'manifest'")
      .map((row) => [row.key2, row.due_at]),
  );
  expect([deleted, overwritten, successor].map((digest) => due.get(digest ?? ''))).toEqual([
    now + day,
    now + day,
    now + 3 * day,
  ]);
  expect(registry.rows('select name, manifest, purge_after from tag_trash order by name')).toEqual([
    { name: 'x', manifest: deleted, purge_after: now + day },
    { name: 'y', manifest: overwritten, purge_after: now + day },
  ]);
});
