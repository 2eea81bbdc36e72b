import { expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import { ByteCountingRelay } from './byte-counting-relay.ts';
import { clientProgram } from './client-programs.ts';
import { fixtureTag } from './fixtures.ts';
import { dockerManifest, dockerManifestList, ociIndex, parseManifest, readImage } from './image-content.ts';
import { ImageLayout } from './image-layout.ts';
import { setStage } from './stage.ts';

setDefaultTimeout(120_000);

const program = await clientProgram('skopeo');
const stage = setStage('skopeo');
const { wherry, home, fixtures } = stage;

/** skopeo keeps what it knows of blobs below HOME only where it believes to run without root. */
const env = { _CONTAINERS_ROOTLESS_UID: '1000' };

async function skopeo(...args: readonly string[]): Promise<string> {
  return (await home.run([program, ...args], { env })).stdout;
}

const copy = async (...args: readonly string[]): Promise<string> =>
  skopeo('copy', '--quiet', '--src-tls-verify=false', '--dest-tls-verify=false', ...args);

function fromLayout(layout: ImageLayout): string {
  return `oci:${layout.directory}:${fixtureTag}`;
}

function toRegistry(reference: string, host = wherry.host): string {
  return `docker://${host}/${reference}`;
}

async function pulled(reference: string, ...args: readonly string[]): Promise<ImageLayout> {
  const directory = join(home.directory, `pulled-${crypto.randomUUID()}`);
  await copy(...args, toRegistry(reference), `oci:${directory}:pulled`);
  return new ImageLayout(directory);
}

test.each([
  ['gzip', fixtures.gzip],
  ['zstd', fixtures.zstd],
])(
  'an image with layers of tens of megabytes in %s, pushed with skopeo, comes back byte for byte',
  async (name, image) => {
    const { digest } = image.root();
    await copy(fromLayout(image), toRegistry(`skopeo/${name}:1`));

    expect(await stage.repository(`skopeo/${name}`).resolve('1')).toBe(digest);
    const content = await readImage(image, digest);
    expect(await readImage(stage.repository(`skopeo/${name}`), digest)).toEqual(content);
    const layout = await pulled(`skopeo/${name}:1`);
    expect(await readImage(layout, layout.root().digest)).toEqual(content);
  },
);

test('a multi-arch index, copied with skopeo copy --all, comes back with all its platforms', async () => {
  const { digest } = fixtures.platforms.root();
  await copy('--all', fromLayout(fixtures.platforms), toRegistry('skopeo/platforms:all'));

  const content = await readImage(fixtures.platforms, digest);
  expect(await stage.repository('skopeo/platforms').resolve('all')).toBe(digest);
  expect(await readImage(stage.repository('skopeo/platforms'), digest)).toEqual(content);
  const layout = await pulled('skopeo/platforms:all', '--all');
  expect(layout.root().mediaType).toBe(ociIndex);
  expect(await readImage(layout, layout.root().digest)).toEqual(content);
});

test('one platform of a multi-arch index can be pulled by itself', async () => {
  await copy('--all', fromLayout(fixtures.platforms), toRegistry('skopeo/one-platform:all'));
  const layout = await pulled('skopeo/one-platform:all', '--override-arch=arm64');

  const [, arm64] = parseManifest(await fixtures.platforms.manifest(fixtures.platforms.root().digest)).manifests ?? [];
  expect(layout.root().digest).toBe(arm64?.digest ?? '');
  expect(await readImage(layout, layout.root().digest)).toEqual(
    await readImage(fixtures.platforms, arm64?.digest ?? ''),
  );
});

test('copying an image to another repository with skopeo mounts its layers instead of sending them again', async () => {
  await using relay = await ByteCountingRelay.start(wherry.host);
  const { digest } = fixtures.gzip.root();
  await copy(fromLayout(fixtures.gzip), toRegistry('skopeo/mount-source:1', relay.host));
  const sentForPush = relay.sentBytes;
  await copy(toRegistry('skopeo/mount-source:1', relay.host), toRegistry('skopeo/mount-target:1', relay.host));
  const sentForCopy = relay.sentBytes - sentForPush;

  expect(sentForPush).toBeGreaterThan(100 << 20);
  expect(sentForCopy).toBeLessThan(1 << 20);
  const content = await readImage(fixtures.gzip, digest);
  expect(await readImage(stage.repository('skopeo/mount-target'), digest)).toEqual(content);
});

test('an image converted to Docker schema 2 by skopeo is stored and served as such', async () => {
  await copy('--format=v2s2', fromLayout(fixtures.gzip), toRegistry('skopeo/schema2:1'));

  const repository = stage.repository('skopeo/schema2');
  const digest = await repository.resolve('1');
  const bytes = await repository.manifest(digest);
  const manifest = parseManifest(bytes);
  expect(manifest.mediaType).toBe(dockerManifest);
  const original = parseManifest(await fixtures.gzip.manifest(fixtures.gzip.root().digest));
  expect(manifest.layers?.map((layer) => layer.digest)).toEqual(original.layers?.map((layer) => layer.digest) ?? []);
  const content = await readImage(repository, digest);
  const directory = join(home.directory, 'schema2');
  await copy(toRegistry('skopeo/schema2:1'), `dir:${directory}`);
  expect(await Bun.file(join(directory, 'manifest.json')).bytes()).toEqual(bytes);
  for (const [found, sizeBytes] of Object.entries(content)) {
    if (found === digest) continue;
    const file = Bun.file(join(directory, found.replace('sha256:', '')));
    expect(file.size).toBe(sizeBytes);
    expect(`sha256:${Bun.SHA256.hash(await file.arrayBuffer(), 'hex')}`).toBe(found);
  }
});

test('a multi-arch index converted to a Docker manifest list by skopeo comes back with all its platforms', async () => {
  await copy('--all', '--format=v2s2', fromLayout(fixtures.platforms), toRegistry('skopeo/list:1'));

  const repository = stage.repository('skopeo/list');
  const digest = await repository.resolve('1');
  const list = parseManifest(await repository.manifest(digest));
  expect(list.mediaType).toBe(dockerManifestList);
  expect(list.manifests?.map((child) => child.mediaType)).toEqual([dockerManifest, dockerManifest, dockerManifest]);
  const content = await readImage(repository, digest);
  await copy('--all', '--preserve-digests', toRegistry('skopeo/list:1'), toRegistry('skopeo/list-copy:1'));
  expect(await readImage(stage.repository('skopeo/list-copy'), digest)).toEqual(content);
});

test('skopeo inspect shows what was pushed', async () => {
  const { digest } = fixtures.small.root();
  await copy(fromLayout(fixtures.small), toRegistry('skopeo/inspect:1'));

  const raw = await skopeo('inspect', '--tls-verify=false', '--raw', toRegistry('skopeo/inspect:1'));
  expect(raw).toBe(new TextDecoder().decode(await fixtures.small.manifest(digest)));
  const config = await skopeo('inspect', '--tls-verify=false', '--config', '--raw', toRegistry('skopeo/inspect:1'));
  const manifest = parseManifest(await fixtures.small.manifest(digest));
  expect(config).toBe(new TextDecoder().decode(await fixtures.small.manifest(manifest.config?.digest ?? '')));
  const summary: unknown = JSON.parse(await skopeo('inspect', '--tls-verify=false', toRegistry('skopeo/inspect:1')));
  expect(summary).toMatchObject({
    Digest: digest,
    RepoTags: ['1'],
    Layers: manifest.layers?.map((layer) => layer.digest) ?? [],
  });
});

test('skopeo list-tags lists every tag of a repository, however many pages they take', async () => {
  const { digest, mediaType } = fixtures.small.root();
  await copy(fromLayout(fixtures.small), toRegistry('skopeo/tags:0'));
  const manifest = await fixtures.small.manifest(digest);
  for (let tag = 1; tag < 250; tag += 1) {
    const answer = await stage.repository('skopeo/tags').fetch(`manifests/${tag}`, {
      method: 'PUT',
      headers: { 'content-type': mediaType },
      body: manifest,
    });
    expect(answer.status).toBe(201);
  }

  const list: unknown = JSON.parse(await skopeo('list-tags', '--tls-verify=false', toRegistry('skopeo/tags')));
  const expected = Array.from({ length: 250 }, (_, tag) => `${tag}`).sort();
  expect(list).toMatchObject({ Tags: expected });
});

test('an image deleted with skopeo is gone at once, and can be pushed again', async () => {
  const { digest } = fixtures.small.root();
  await copy(fromLayout(fixtures.small), toRegistry('skopeo/deleted:1'));
  await skopeo('delete', '--tls-verify=false', toRegistry('skopeo/deleted:1'));

  const repository = stage.repository('skopeo/deleted');
  expect(await repository.status('manifests/1')).toBe(404);
  expect(await repository.status(`manifests/${digest}`)).toBe(404);
  await copy(fromLayout(fixtures.small), toRegistry('skopeo/deleted:1'));
  expect(await readImage(repository, digest)).toEqual(await readImage(fixtures.small, digest));
});

test('skopeo sync takes a repository to a directory and back into another one', async () => {
  const { digest } = fixtures.small.root();
  for (const tag of ['1', '2']) await copy(fromLayout(fixtures.small), toRegistry(`skopeo/synced:${tag}`));
  const directory = home.makeDirectory('synced');
  const sync = ['sync', '--src-tls-verify=false', '--dest-tls-verify=false'];
  await skopeo(...sync, '--src=docker', '--dest=dir', `${wherry.host}/skopeo/synced`, directory);
  await skopeo(...sync, '--src=dir', '--dest=docker', directory, `${wherry.host}/skopeo/mirror`);

  const mirror = stage.repository('skopeo/mirror/synced');
  expect(await mirror.tags()).toEqual(['1', '2']);
  expect(await mirror.resolve('2')).toBe(digest);
  expect(await readImage(mirror, digest)).toEqual(await readImage(fixtures.small, digest));
});
