import { expect, setDefaultTimeout, test } from 'bun:test';
import { clientProgram } from './client-programs.ts';
import { containerTool } from './container-tool.ts';
import { readTree, unpackLayers } from './file-tree.ts';
import { dockerManifest, ociIndex, ociManifest, parseManifest, readImage } from './image-content.ts';
import { setStage } from './stage.ts';

setDefaultTimeout(180_000);

const program = await clientProgram('buildah');
const crane = await clientProgram('crane');
const stage = setStage('buildah');
const { wherry, home, fixtures } = stage;
const buildah = containerTool(home, program);

/** Makes an image of file trees, a layer each, and returns its name. */
async function build(name: string, trees: readonly string[], ...config: readonly string[]): Promise<string> {
  let base = 'scratch';
  for (const tree of trees) {
    const container = await buildah('from', '--pull-never', base);
    await buildah('add', '--quiet', container, tree, '/');
    if (config.length > 0) await buildah('config', ...config, container);
    await buildah('commit', '--quiet', '--rm', container, name);
    base = name;
  }
  return name;
}

/** Pulls an image into empty storage, and returns the file tree that it has there. */
async function pulledTree(reference: string): Promise<Readonly<Record<string, string>>> {
  await buildah('rmi', '--all', '--force');
  await buildah('pull', '--quiet', reference);
  const container = await buildah('from', '--pull-never', reference);
  const tree = readTree(await buildah('mount', container));
  await buildah('rm', container);
  return tree;
}

test('an image that buildah makes of file trees comes back with the same files', async () => {
  const trees = [await unpackLayers(home, fixtures.gzip, [0]), await unpackLayers(home, fixtures.gzip, [1])];
  const image = await build(`${wherry.host}/buildah/trees:1`, trees);
  await buildah('push', '--quiet', image);

  const repository = stage.repository('buildah/trees');
  const digest = await repository.resolve('1');
  const content = await readImage(repository, digest);
  const manifest = parseManifest(await repository.manifest(digest));
  expect(manifest.mediaType).toBe(ociManifest);
  expect(manifest.layers).toHaveLength(2);
  expect(Object.values(content).reduce((sum, sizeBytes) => sum + sizeBytes, 0)).toBeGreaterThan(20 << 20);
  const expected = readTree(await unpackLayers(home, fixtures.gzip, [0, 1]));
  expect(await pulledTree(image)).toEqual(expected);
});

test.each([
  ['Docker schema 2', ['--format=v2s2'], dockerManifest, 'application/vnd.docker.image.rootfs.diff.tar.gzip'],
  [
    'OCI with zstd',
    ['--format=oci', '--compression-format=zstd'],
    ociManifest,
    'application/vnd.oci.image.layer.v1.tar+zstd',
  ],
])('an image that buildah pushes as %s comes back with the same files', async (name, format, mediaType, layerType) => {
  const tree = await unpackLayers(home, fixtures.small);
  const repositoryName = `buildah/${name.toLowerCase().replaceAll(' ', '-')}`;
  const image = await build(`${wherry.host}/${repositoryName}:1`, [tree]);
  await buildah('push', '--quiet', ...format, image);

  const repository = stage.repository(repositoryName);
  const digest = await repository.resolve('1');
  await readImage(repository, digest);
  const manifest = parseManifest(await repository.manifest(digest));
  expect(manifest.mediaType).toBe(mediaType);
  expect(manifest.layers?.map((layer) => layer.mediaType)).toEqual([layerType]);
  expect(await pulledTree(image)).toEqual(readTree(tree));
});

test('a multi-arch index that buildah makes of its images is pushed with all of them', async () => {
  const tree = home.makeDirectory('hold');
  home.writeFile('hold/cargo.txt', 'reeds and rushes\n');
  const images = [
    await build('localhost/cargo:amd64', [tree], '--arch=amd64'),
    await build('localhost/cargo:arm64', [tree], '--arch=arm64'),
  ];
  const list = `${wherry.host}/buildah/list:1`;
  await buildah('manifest', 'create', list, ...images);
  await buildah('manifest', 'push', '--all', '--quiet', '--format=oci', list, `docker://${list}`);

  const repository = stage.repository('buildah/list');
  const digest = await repository.resolve('1');
  await readImage(repository, digest);
  const index = parseManifest(await repository.manifest(digest));
  expect(index.mediaType).toBe(ociIndex);
  expect(index.manifests?.map((child) => child.platform?.architecture)).toEqual(['amd64', 'arm64']);
});

test('a multi-arch index with a platform from the registry is pushed to another repository', async () => {
  await home.run([crane, 'push', '--index', fixtures.platforms.directory, `${wherry.host}/buildah/source:1`]);
  const index = fixtures.platforms.root().digest;
  const list = `${wherry.host}/buildah/list-copy:1`;
  await buildah('manifest', 'create', list);
  await buildah('manifest', 'add', '--all', list, `docker://${wherry.host}/buildah/source@${index}`);
  await buildah('manifest', 'push', '--all', '--quiet', '--format=oci', list, `docker://${list}`);

  const repository = stage.repository('buildah/list-copy');
  const digest = await repository.resolve('1');
  await readImage(repository, digest);
  const { manifests = [] } = parseManifest(await fixtures.platforms.manifest(index));
  const copied = parseManifest(await repository.manifest(digest)).manifests ?? [];
  expect(copied.map((child) => child.digest)).toEqual(manifests.map((child) => child.digest));
});
