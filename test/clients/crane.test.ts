import { expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import { ByteCountingRelay } from './byte-counting-relay.ts';
import { clientProgram } from './client-programs.ts';
import { digestOf, ociIndex, parseManifest, readImage } from './image-content.ts';
import { ImageLayout } from './image-layout.ts';
import { setStage } from './stage.ts';

setDefaultTimeout(120_000);

const program = await clientProgram('crane');
const stage = setStage('crane');
const { wherry, home, fixtures } = stage;

async function crane(...args: readonly string[]): Promise<string> {
  return (await home.run([program, ...args])).stdout.trim();
}

function lines(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '');
}

async function pulled(reference: string): Promise<ImageLayout> {
  const directory = join(home.directory, `pulled-${crypto.randomUUID()}`);
  await crane('pull', '--format=oci', `${wherry.host}/${reference}`, directory);
  return new ImageLayout(directory);
}

test.each([
  ['gzip', fixtures.gzip],
  ['zstd', fixtures.zstd],
])(
  'an image with layers of tens of megabytes in %s, pushed with crane, comes back byte for byte',
  async (name, image) => {
    const { digest } = image.root();
    const pushed = await crane('push', image.directory, `${wherry.host}/crane/${name}:1`);

    expect(pushed).toBe(`${wherry.host}/crane/${name}@${digest}`);
    const content = await readImage(image, digest);
    expect(await readImage(stage.repository(`crane/${name}`), digest)).toEqual(content);
    const layout = await pulled(`crane/${name}:1`);
    expect(await readImage(layout, layout.root().digest)).toEqual(content);
  },
);

test('a multi-arch index pushed with crane comes back with all its platforms', async () => {
  const { digest } = fixtures.platforms.root();
  await crane('push', '--index', fixtures.platforms.directory, `${wherry.host}/crane/wrapped:1`);
  // crane pushes the layout's own index, of which ours is the only child.
  const pushedIndex = digestOf(await Bun.file(join(fixtures.platforms.directory, 'index.json')).bytes());

  const repository = stage.repository('crane/wrapped');
  const content = await readImage(fixtures.platforms, digest);
  expect(await readImage(repository, await repository.resolve('1'))).toMatchObject(content);
  expect(await repository.resolve('1')).toBe(pushedIndex);
  const layout = await pulled(`crane/wrapped@${digest}`);
  expect(await readImage(layout, layout.root().digest)).toEqual(content);
});

test('copying a multi-arch index to another repository with crane mounts its layers', async () => {
  await using relay = await ByteCountingRelay.start(wherry.host);
  const { digest } = fixtures.platforms.root();
  await crane('push', '--index', fixtures.platforms.directory, `${relay.host}/crane/mount-source:1`);
  const sentForPush = relay.sentBytes;
  await crane('copy', `${relay.host}/crane/mount-source@${digest}`, `${relay.host}/crane/mount-target:1`);
  const sentForCopy = relay.sentBytes - sentForPush;

  expect(sentForPush).toBeGreaterThan(10 << 20);
  expect(sentForCopy).toBeLessThan(1 << 20);
  const content = await readImage(fixtures.platforms, digest);
  expect(await readImage(stage.repository('crane/mount-target'), digest)).toEqual(content);
});

test('crane mutate adds a layer and labels to an image that stays as it was', async () => {
  const { digest } = fixtures.small.root();
  await crane('push', fixtures.small.directory, `${wherry.host}/crane/mutated:base`);
  const file = home.writeFile('added/hello.txt', 'a wherry is a light cargo boat\n');
  await home.run(['tar', '--create', '--file=added.tar', `--directory=${join(file, '..')}`, 'hello.txt']);
  await crane(
    'mutate',
    `${wherry.host}/crane/mutated:base`,
    '--append=added.tar',
    '--label=cargo=reed',
    `--tag=${wherry.host}/crane/mutated:changed`,
  );

  const repository = stage.repository('crane/mutated');
  const base = await readImage(repository, await repository.resolve('base'));
  expect(base).toEqual(await readImage(fixtures.small, digest));
  const changed = await repository.resolve('changed');
  await readImage(repository, changed);
  const layers = parseManifest(await repository.manifest(changed)).layers ?? [];
  const baseLayers = parseManifest(await fixtures.small.manifest(digest)).layers ?? [];
  expect(layers.slice(0, -1).map((layer) => layer.digest)).toEqual(baseLayers.map((layer) => layer.digest));
  const config: unknown = JSON.parse(await crane('config', `${wherry.host}/crane/mutated:changed`));
  expect(config).toMatchObject({ config: { Labels: { cargo: 'reed' } } });
  const exported = join(home.directory, 'exported.tar');
  await crane('export', `${wherry.host}/crane/mutated:changed`, exported);
  const { stdout } = await home.run(['tar', '--extract', '--to-stdout', `--file=${exported}`, 'hello.txt']);
  expect(stdout).toBe('a wherry is a light cargo boat\n');
});

test('crane index append makes a multi-arch index of images that are there', async () => {
  await crane('push', '--index', fixtures.platforms.directory, `${wherry.host}/crane/appended:1`);
  const { manifests = [] } = parseManifest(await fixtures.platforms.manifest(fixtures.platforms.root().digest));
  const children = manifests.slice(0, 2).map((child) => `--manifest=${wherry.host}/crane/appended@${child.digest}`);
  await crane('index', 'append', ...children, `--tag=${wherry.host}/crane/appended:two`);

  const repository = stage.repository('crane/appended');
  const two = await repository.resolve('two');
  await readImage(repository, two);
  const index = parseManifest(await repository.manifest(two));
  expect(index.mediaType).toBe(ociIndex);
  expect(index.manifests?.map((child) => child.digest)).toEqual(manifests.slice(0, 2).map((child) => child.digest));
});

test('crane lists tags and repositories, and shows manifests, digests and blobs as they were pushed', async () => {
  const { digest } = fixtures.small.root();
  const image = `${wherry.host}/crane/shown`;
  await crane('push', fixtures.small.directory, `${image}:1`);
  for (const tag of ['2', 'latest', 'v1.0.0']) await crane('tag', `${image}:1`, tag);

  expect(lines(await crane('ls', image))).toEqual(['1', '2', 'latest', 'v1.0.0']);
  expect(lines(await crane('catalog', wherry.host))).toContain('crane/shown');
  expect(await crane('digest', `${image}:latest`)).toBe(digest);
  const manifest = await fixtures.small.manifest(digest);
  expect((await home.run([program, 'manifest', `${image}:2`])).stdoutBytes).toEqual(manifest);
  const [layer] = parseManifest(manifest).layers ?? [];
  const blob = await home.run([program, 'blob', `${image}@${layer?.digest}`]);
  expect(digestOf(blob.stdoutBytes)).toBe(layer?.digest ?? '');
  await crane('validate', `--remote=${image}:v1.0.0`);
});

test('an image pulled with crane as a tarball holds the same layers', async () => {
  const image = `${wherry.host}/crane/tarball`;
  await crane('push', fixtures.small.directory, `${image}:1`);
  await crane('pull', `${image}:1`, 'image.tar');
  await crane('push', 'image.tar', `${image}:again`);

  const repository = stage.repository('crane/tarball');
  const again = await repository.resolve('again');
  await readImage(repository, again);
  const digests = (manifest: Uint8Array): readonly string[] =>
    parseManifest(manifest).layers?.map((layer) => layer.digest) ?? [];
  const original = await fixtures.small.manifest(fixtures.small.root().digest);
  expect(digests(await repository.manifest(again))).toEqual(digests(original));
});

test('an image deleted with crane is gone, its neighbour with the same layers is not', async () => {
  const { digest } = fixtures.small.root();
  const image = `${wherry.host}/crane/deleted`;
  await crane('push', fixtures.small.directory, `${image}:1`);
  await crane('mutate', `${image}:1`, '--label=neighbour=yes', `--tag=${image}:neighbour`);
  await crane('delete', `${image}@${digest}`);

  const repository = stage.repository('crane/deleted');
  expect(await repository.status('manifests/1')).toBe(404);
  expect(lines(await crane('ls', image))).toEqual(['neighbour']);
  await readImage(repository, await repository.resolve('neighbour'));
});
