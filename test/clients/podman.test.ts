import { expect, setDefaultTimeout, test } from 'bun:test';
import { clientProgram } from './client-programs.ts';
import { containerTool } from './container-tool.ts';
import { readTree, unpackLayers } from './file-tree.ts';
import { dockerManifestList, parseManifest, readImage } from './image-content.ts';
import { setStage } from './stage.ts';

setDefaultTimeout(180_000);

const program = await clientProgram('podman');
const crane = await clientProgram('crane');
const stage = setStage('podman');
const { wherry, home, fixtures } = stage;
const podman = containerTool(home, program);

async function layersOf(repository: string, tag: string): Promise<readonly string[]> {
  const source = stage.repository(repository);
  const manifest = parseManifest(await source.manifest(await source.resolve(tag)));
  return manifest.layers?.map((layer) => layer.digest) ?? [];
}

test.each([
  ['gzip', fixtures.gzip],
  ['zstd', fixtures.zstd],
])('an image with layers of tens of megabytes in %s is pulled by podman with all its files', async (name, image) => {
  const reference = `${wherry.host}/podman/${name}:1`;
  await home.run([crane, 'push', image.directory, reference]);
  await podman('pull', '--quiet', reference);

  const tree = readTree(await podman('image', 'mount', reference));
  await podman('image', 'unmount', '--all');
  await podman('rmi', '--all', '--force');
  expect(tree).toEqual(readTree(await unpackLayers(home, fixtures.gzip)));
});

test('an image that podman has pulled is pushed to another repository, and comes back with the same files', async () => {
  await home.run([crane, 'push', fixtures.small.directory, `${wherry.host}/podman/source:1`]);
  await podman('pull', '--quiet', `${wherry.host}/podman/source:1`);
  const target = `${wherry.host}/podman/target:1`;
  await podman('tag', `${wherry.host}/podman/source:1`, target);
  await podman('push', '--quiet', target);
  await podman('rmi', '--all', '--force');
  await podman('pull', '--quiet', target);

  const repository = stage.repository('podman/target');
  await readImage(repository, await repository.resolve('1'));
  const tree = readTree(await podman('image', 'mount', target));
  await podman('image', 'unmount', '--all');
  expect(tree).toEqual(readTree(await unpackLayers(home, fixtures.small)));
});

test('an image pushed again by podman under another tag keeps its layers', async () => {
  const reference = `${wherry.host}/podman/again`;
  await home.run([crane, 'push', fixtures.small.directory, `${reference}:1`]);
  await podman('pull', '--quiet', `${reference}:1`);
  await podman('tag', `${reference}:1`, `${reference}:2`);
  await podman('push', '--quiet', `${reference}:2`);

  expect(await layersOf('podman/again', '2')).toEqual(await layersOf('podman/again', '1'));
});

test('a manifest list that podman makes is pushed with all its images', async () => {
  await home.run([crane, 'push', '--index', fixtures.platforms.directory, `${wherry.host}/podman/platforms:1`]);
  const list = `${wherry.host}/podman/list:1`;
  await podman('manifest', 'create', list);
  const index = fixtures.platforms.root().digest;
  await podman('manifest', 'add', '--all', list, `docker://${wherry.host}/podman/platforms@${index}`);
  await podman('manifest', 'push', '--all', '--quiet', '--format=v2s2', list, `docker://${list}`);

  const repository = stage.repository('podman/list');
  const digest = await repository.resolve('1');
  await readImage(repository, digest);
  const pushed = parseManifest(await repository.manifest(digest));
  expect(pushed.mediaType).toBe(dockerManifestList);
  expect(pushed.manifests?.map((child) => child.platform?.architecture)).toEqual(['amd64', 'arm64', 'arm']);
});

test('podman search finds repositories and their tags', async () => {
  await home.run([crane, 'push', fixtures.small.directory, `${wherry.host}/podman/searched:1`]);
  await home.run([crane, 'tag', `${wherry.host}/podman/searched:1`, 'latest']);

  const found = await podman('search', '--format={{.Name}}', `${wherry.host}/podman/searched`);
  expect(found.split('\n')).toEqual([`${wherry.host}/podman/searched`]);
  const tags = await podman('search', '--list-tags', '--format=json', `${wherry.host}/podman/searched`);
  expect(JSON.parse(tags)).toEqual([{ Name: `${wherry.host}/podman/searched`, Tags: ['1', 'latest'] }]);
});
