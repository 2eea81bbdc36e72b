import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { isWhole, type PushedImage, pushImage, pushIndex, remove } from '../admin/pushed-images.ts';
import { digestOf, freshBytes, imageOf, indexOf, ociIndex } from '../http/content.ts';
import { expectRefusal } from '../http/refusal.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { findings, planOf, purge } from './purging.ts';

setDefaultTimeout(60_000);

const repo = 'team/app';
const other = 'team/other';

async function expectGone(registry: ServedRegistry, ...images: readonly PushedImage[]): Promise<void> {
  for (const { digest, blobs } of images) {
    await expectRefusal(await registry.send(`/v2/${repo}/manifests/${digest}`), 403, 'DENIED');
    for (const blob of blobs) await expectRefusal(await registry.send(`/v2/${repo}/blobs/${blob}`), 403, 'DENIED');
  }
}

describe('a purge of an index', () => {
  test('takes all that it lists, and what that lists', async () => {
    await using registry = await ServedRegistry.start();
    const [one, two] = [await pushImage(registry, repo), await pushImage(registry, repo)];
    const inner = await pushIndex(registry, repo, [], two);
    await pushIndex(registry, repo, ['all'], one, inner);
    await purge(registry, { images: [`${repo}:all`] });
    await expectRefusal(await registry.send(`/v2/${repo}/manifests/all`), 403, 'DENIED');
    await expectGone(registry, one, two, inner);
    expect(await findings(registry)).toEqual([]);
  });

  // Each makes something that needs the second of two images, and says what.
  const needs = {
    'a tag': async (registry: ServedRegistry, image: PushedImage) => {
      await registry.putManifest(repo, 'two', image.manifest, 'application/vnd.oci.image.manifest.v1+json');
      return `${repo}:two`;
    },
    'a tag in the trash': async (registry: ServedRegistry, image: PushedImage) => {
      await registry.putManifest(repo, 'two', image.manifest, 'application/vnd.oci.image.manifest.v1+json');
      expect((await remove(registry, repo, 'two')).status).toBe(202);
      return `${repo}:two`;
    },
    'another index': async (registry: ServedRegistry, image: PushedImage) => {
      const { digest } = await pushIndex(registry, repo, ['another'], image);
      return `${repo}@${digest}`;
    },
    'a pin': async (registry: ServedRegistry, image: PushedImage) => {
      const pinned = await registry.admin('POST', '/pins', { target: `${repo}@${image.digest}`, reason: 'needed' });
      expect(pinned.status).toBe(200);
      return `${repo}@${image.digest}`;
    },
    'an index that lacks it': async (registry: ServedRegistry, image: PushedImage) => {
      const index = JSON.stringify(indexOf(image.manifest));
      expect((await registry.putManifest(other, 'sparse', index, ociIndex)).status).toBe(201);
      return `${other}@${digestOf(index)}`;
    },
    'a repository that has it by itself': async (registry: ServedRegistry, image: PushedImage, bytes: Blobs) => {
      for (const each of bytes) await registry.pushBlob(other, each);
      const pushed = await registry.putManifest(
        other,
        image.digest,
        image.manifest,
        'application/vnd.oci.image.manifest.v1+json',
      );
      expect(pushed.status).toBe(201);
      return `${other}@${image.digest}`;
    },
  };
  type Blobs = readonly Uint8Array<ArrayBuffer>[];

  test.each(Object.entries(needs))('leaves an image that it lists to %s, unless that is wanted', async (_, needing) => {
    await using registry = await ServedRegistry.start({ 'manifests.sparse': 'allow' });
    const one = await pushImage(registry, repo);
    const blobs = [freshBytes(), freshBytes()] as const;
    for (const each of blobs) await registry.pushBlob(repo, each);
    const manifest = JSON.stringify(imageOf(...blobs));
    const two: PushedImage = { manifest, digest: digestOf(manifest), blobs: blobs.map((blob) => digestOf(blob)) };
    await registry.putManifest(repo, two.digest, manifest, 'application/vnd.oci.image.manifest.v1+json');
    await pushIndex(registry, repo, ['all'], one, two);
    const who = await needing(registry, two, blobs);

    const { contents } = await planOf(registry, { images: [`${repo}:all`] });
    expect(contents).toContainEqual({ digest: two.digest, kind: 'manifest', sharedWith: who, isTaken: false });
    const { digests } = await purge(registry, { images: [`${repo}:all`] });
    expect(digests.map(({ digest }) => digest)).not.toContain(two.digest);
    await expectGone(registry, one);
    expect(await isWhole(registry, repo, two.digest, two)).toBe(true);
    expect(await findings(registry)).toEqual([]);
  });

  test('takes what others need of it where that is wanted, and lists what breaks', async () => {
    await using registry = await ServedRegistry.start();
    const [one, two] = [await pushImage(registry, repo), await pushImage(registry, repo, { tags: ['two'] })];
    await pushIndex(registry, repo, ['all'], one, two);
    const another = await pushIndex(registry, repo, ['another'], two);
    const { contents, places } = await planOf(registry, { images: [`${repo}:all`], shared: true });
    expect(contents).toContainEqual({
      digest: two.digest,
      kind: 'manifest',
      sharedWith: `${repo}:two`,
      isTaken: true,
    });
    const broken = places.filter((place) => place['breaks'] === true);
    expect(broken.map(({ kind, digest }) => `${kind} ${String(digest)}`).sort()).toEqual([
      `manifest ${another.digest}`,
      `tag ${another.digest}`,
    ]);
    await purge(registry, { images: [`${repo}:all`], shared: true });
    await expectGone(registry, one, two);
    for (const tag of ['two', 'another']) {
      await expectRefusal(await registry.send(`/v2/${repo}/manifests/${tag}`), 403, 'DENIED');
    }
    expect(await findings(registry)).toEqual([]);
  });

  test('takes an image that it lists, whatever needs that, where it is named itself', async () => {
    await using registry = await ServedRegistry.start();
    const two = await pushImage(registry, repo, { tags: ['two'] });
    await pushIndex(registry, repo, ['all'], two);
    await purge(registry, { images: [`${repo}:all`, `${repo}:two`] });
    await expectGone(registry, two);
  });
});

test('a purge of what is shared, which names no image, is refused', async () => {
  await using registry = await ServedRegistry.start();
  const image = await pushImage(registry, repo, { tags: ['v1'] });
  const body = { digests: [image.digest], shared: true };
  for (const answer of [
    await registry.admin('POST', '/purge/plan', body),
    await registry.admin('POST', '/purge', { ...body, reason: 'x' }),
  ]) {
    expect((await expectRefusal(answer, 400, 'UNSUPPORTED')).message).toContain('name an image');
  }
  expect(await isWhole(registry, repo, 'v1', image)).toBe(true);
});

test('what tells nothing, such as the empty config, stays for everybody, unless it is named by its digest', async () => {
  await using registry = await ServedRegistry.start();
  const empty = Buffer.from('{}');
  const artifact = await pushArtifact(registry, 'team/art', empty, freshBytes());
  const { contents } = await planOf(registry, { images: ['team/art:1'], shared: true });
  expect(contents).toContainEqual({ digest: digestOf(empty), kind: 'blob', isTaken: false });
  await purge(registry, { images: ['team/art:1'], shared: true });
  await expectRefusal(await registry.send(`/v2/team/art/manifests/${artifact}`), 403, 'DENIED');
  await pushArtifact(registry, 'team/other', empty, freshBytes());
  await purge(registry, { digests: [digestOf(empty)] });
  const again = `/v2/team/other/blobs/uploads/?digest=${digestOf(empty)}`;
  await expectRefusal(await registry.send(again, { method: 'POST', body: empty }), 403, 'DENIED');
});

/** Pushes an artifact with the tag 1, and gives its digest. */
async function pushArtifact(
  registry: ServedRegistry,
  name: string,
  config: Uint8Array<ArrayBuffer>,
  layer: Uint8Array<ArrayBuffer>,
): Promise<string> {
  await registry.pushBlob(name, config);
  await registry.pushBlob(name, layer);
  const pushed = await registry.putManifest(name, '1', imageOf(config, layer));
  expect(pushed.status).toBe(201);
  return pushed.headers.get('docker-content-digest') ?? '';
}
