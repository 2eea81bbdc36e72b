import { beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import { ByteCountingRelay } from './byte-counting-relay.ts';
import { clientProgram } from './client-programs.ts';
import { composeImage } from './composed-image.ts';
import { fixtureTag } from './fixtures.ts';
import { digestOf, parseManifest, readImage } from './image-content.ts';
import { ImageLayout } from './image-layout.ts';
import { setStage } from './stage.ts';

setDefaultTimeout(120_000);

const program = await clientProgram('regctl');
const stage = setStage('regctl');
const { wherry, home, fixtures } = stage;
const newLayerBytes = 12 << 20;
const sbomType = 'application/spdx+json';

beforeAll(async () => useRegistry(wherry.host));

async function useRegistry(host: string, ...options: readonly string[]): Promise<void> {
  await regctl('registry', 'set', host, '--tls=disabled', ...options);
}

async function regctl(...args: readonly string[]): Promise<string> {
  return (await home.run([program, ...args])).stdout.trim();
}

async function regctlWithInput(input: string, ...args: readonly string[]): Promise<string> {
  return (await home.run([program, ...args], { stdin: new TextEncoder().encode(input) })).stdout.trim();
}

function lines(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '');
}

function fromLayout(layout: ImageLayout): string {
  return `ocidir://${layout.directory}:${fixtureTag}`;
}

async function push(layout: ImageLayout, reference: string): Promise<void> {
  await regctl('image', 'copy', fromLayout(layout), `${wherry.host}/${reference}`);
}

/**
 * An image of which one layer is new. The other layers may be found in any repository of the registry: regctl asks for
 * them to be mounted without saying from where.
 */
async function newImage(): Promise<ImageLayout> {
  return composeImage(fixtures.small, home.makeDirectory(`new-${crypto.randomUUID()}`), newLayerBytes);
}

async function pulled(reference: string, ...args: readonly string[]): Promise<ImageLayout> {
  const directory = join(home.directory, `pulled-${crypto.randomUUID()}`);
  await regctl('image', 'copy', ...args, `${wherry.host}/${reference}`, `ocidir://${directory}:pulled`);
  return new ImageLayout(directory);
}

test.each([
  ['gzip', fixtures.gzip],
  ['zstd', fixtures.zstd],
  ['a multi-arch index', fixtures.platforms],
])('an image (%s) copied with regctl comes back byte for byte', async (name, image) => {
  const { digest } = image.root();
  const repository = `regctl/${name.replaceAll(' ', '-')}`;
  await push(image, `${repository}:1`);

  const content = await readImage(image, digest);
  expect(await stage.repository(repository).resolve('1')).toBe(digest);
  expect(await readImage(stage.repository(repository), digest)).toEqual(content);
  const layout = await pulled(`${repository}:1`);
  expect(await readImage(layout, layout.root('pulled').digest)).toEqual(content);
});

test('layers that regctl pushes in many chunks are put together in order', async () => {
  await using relay = await ByteCountingRelay.start(wherry.host);
  await useRegistry(relay.host, '--blob-chunk=1500000', '--blob-max=2000000');
  const image = await newImage();
  const { stderr } = await home.run([
    program,
    '--verbosity=debug',
    'image',
    'copy',
    `ocidir://${image.directory}:composed`,
    `${relay.host}/regctl/chunked:1`,
  ]);

  const { digest } = image.root();
  const content = await readImage(image, digest);
  const leastChunks = Math.floor(newLayerBytes / 1_500_000);
  expect(stderr.split('Next chunk upload location received').length - 1).toBeGreaterThanOrEqual(leastChunks);
  expect(await readImage(stage.repository('regctl/chunked'), digest)).toEqual(content);
});

test('copying an image to another repository with regctl mounts its layers', async () => {
  await using relay = await ByteCountingRelay.start(wherry.host);
  await useRegistry(relay.host);
  const image = await newImage();
  const { digest } = image.root();
  await regctl('image', 'copy', `ocidir://${image.directory}:composed`, `${relay.host}/regctl/mount-source:1`);
  const sentForPush = relay.sentBytes;
  await regctl('image', 'copy', `${relay.host}/regctl/mount-source:1`, `${relay.host}/regctl/mount-target:1`);

  expect(sentForPush).toBeGreaterThan(newLayerBytes);
  expect(relay.sentBytes - sentForPush).toBeLessThan(1 << 20);
  const content = await readImage(image, digest);
  expect(await readImage(stage.repository('regctl/mount-target'), digest)).toEqual(content);
});

test('an image exported with regctl and imported again is the same', async () => {
  const { digest } = fixtures.small.root();
  await push(fixtures.small, 'regctl/exported:1');
  await regctl('image', 'export', `${wherry.host}/regctl/exported:1`, 'exported.tar');
  await regctl('image', 'import', `${wherry.host}/regctl/imported:1`, 'exported.tar');

  const imported = stage.repository('regctl/imported');
  expect(await imported.resolve('1')).toBe(digest);
  expect(await readImage(imported, digest)).toEqual(await readImage(fixtures.small, digest));
});

test('an artifact put with regctl comes back byte for byte', async () => {
  const data = home.writeFile('artifact/data.bin', crypto.getRandomValues(new Uint8Array(60_000)));
  const reference = `${wherry.host}/regctl/artifact:1`;
  await regctl('artifact', 'put', '--artifact-type=application/vnd.wherry.test', `--file=${data}`, reference);

  const repository = stage.repository('regctl/artifact');
  const digest = await repository.resolve('1');
  await readImage(repository, digest);
  const manifest = parseManifest(await repository.manifest(digest));
  expect(manifest.artifactType).toBe('application/vnd.wherry.test');
  const { stdoutBytes } = await home.run([program, 'artifact', 'get', reference]);
  expect(stdoutBytes).toEqual(await Bun.file(data).bytes());
});

test('referrers put with regctl are listed, filtered by type, and go along to another repository and a layout', async () => {
  const { digest } = fixtures.small.root();
  const image = `${wherry.host}/regctl/subject:1`;
  await push(fixtures.small, 'regctl/subject:1');
  await regctlWithInput('{"sbom":1}', 'artifact', 'put', `--artifact-type=${sbomType}`, `--subject=${image}`);
  await regctlWithInput(
    'signed',
    'artifact',
    'put',
    '--artifact-type=application/vnd.wherry.sig',
    `--subject=${image}`,
  );

  const repository = stage.repository('regctl/subject');
  const referrers = await repository.referrers(digest);
  expect(referrers.map((referrer) => referrer.artifactType ?? '').toSorted()).toEqual([
    sbomType,
    'application/vnd.wherry.sig',
  ]);
  for (const referrer of referrers) await readImage(repository, referrer.digest);
  const format = '--format={{range .Descriptors}}{{println .Digest}}{{end}}';
  const listed = await regctl('artifact', 'list', image, format);
  expect(lines(listed).toSorted()).toEqual(referrers.map((referrer) => referrer.digest).toSorted());
  const filtered = await regctl('artifact', 'list', image, `--filter-artifact-type=${sbomType}`, format);
  const sboms = referrers.filter((referrer) => referrer.artifactType === sbomType);
  expect(lines(filtered)).toEqual(sboms.map((referrer) => referrer.digest));
  const sbom = await regctl('artifact', 'get', `--subject=${image}`, `--filter-artifact-type=${sbomType}`);
  expect(sbom).toBe('{"sbom":1}');
  // The registry lists referrers itself: the client has had no need of a fallback tag.
  expect(await repository.tags()).toEqual(['1']);

  await regctl('image', 'copy', '--referrers', image, `${wherry.host}/regctl/subject-copy:1`);
  const copies = await stage.repository('regctl/subject-copy').referrers(digest);
  expect(copies.map((copy) => copy.digest).toSorted()).toEqual(referrers.map((referrer) => referrer.digest).toSorted());
  const layout = await pulled('regctl/subject-copy:1', '--referrers');
  for (const referrer of referrers) {
    expect(await readImage(layout, referrer.digest)).toEqual(await readImage(repository, referrer.digest));
  }
});

test('signatures kept in digest tags go along with regctl image copy --digest-tags', async () => {
  const { digest } = fixtures.small.root();
  const digestTag = `${digest.replace(':', '-')}.sig`;
  await push(fixtures.small, 'regctl/digest-tags:1');
  await regctlWithInput(
    'signed',
    'artifact',
    'put',
    '--artifact-type=a/b',
    `${wherry.host}/regctl/digest-tags:${digestTag}`,
  );
  const [source, target] = [`${wherry.host}/regctl/digest-tags:1`, `${wherry.host}/regctl/digest-tags-copy:1`];
  await regctl('image', 'copy', '--digest-tags', source, target);

  const copy = stage.repository('regctl/digest-tags-copy');
  expect(await copy.tags()).toEqual(['1', digestTag]);
  expect(await copy.resolve(digestTag)).toBe(await stage.repository('regctl/digest-tags').resolve(digestTag));
});

test('a tag deleted with regctl is gone, the image under its other tag is not', async () => {
  const { digest } = fixtures.small.root();
  await push(fixtures.small, 'regctl/tags:1');
  await push(fixtures.small, 'regctl/tags:2');
  await regctl('tag', 'delete', `${wherry.host}/regctl/tags:1`);

  const repository = stage.repository('regctl/tags');
  expect(lines(await regctl('tag', 'ls', `${wherry.host}/regctl/tags`))).toEqual(['2']);
  expect(lines(await regctl('repo', 'ls', wherry.host))).toContain('regctl/tags');
  expect(await repository.status('manifests/1')).toBe(404);
  expect(await repository.resolve('2')).toBe(digest);
  expect(await readImage(repository, digest)).toEqual(await readImage(fixtures.small, digest));
});

test('a manifest deleted with regctl is gone with its tags', async () => {
  const { digest } = fixtures.small.root();
  await push(fixtures.small, 'regctl/deleted:1');
  await regctl('manifest', 'delete', `${wherry.host}/regctl/deleted@${digest}`);

  const repository = stage.repository('regctl/deleted');
  expect(await repository.status('manifests/1')).toBe(404);
  expect(await repository.status(`manifests/${digest}`)).toBe(404);
});

test('a blob put with regctl comes back, and is gone once deleted', async () => {
  const text = `a blob by itself ${crypto.randomUUID()}`;
  const repository = `${wherry.host}/regctl/blobs`;
  const digest = await regctlWithInput(text, 'blob', 'put', repository);

  expect(digest).toBe(digestOf(text));
  expect(await regctl('blob', 'get', repository, digest)).toBe(text);
  await regctl('blob', 'delete', repository, digest);
  expect(await stage.repository('regctl/blobs').status(`blobs/${digest}`)).toBe(404);
});

test('regctl image mod moves an image into another form, every part of which can be read', async () => {
  await push(fixtures.small, 'regctl/mod:1');
  const [source, target] = [`${wherry.host}/regctl/mod:1`, `${wherry.host}/regctl/mod:zstd`];
  await regctl('image', 'mod', source, '--layer-compress=zstd', '--annotation=cargo=reed', `--create=${target}`);

  const repository = stage.repository('regctl/mod');
  const digest = await repository.resolve('zstd');
  await readImage(repository, digest);
  const manifest = parseManifest(await repository.manifest(digest));
  expect(manifest.annotations).toEqual({ cargo: 'reed' });
  expect(manifest.layers?.map((layer) => layer.mediaType)).toEqual(['application/vnd.oci.image.layer.v1.tar+zstd']);
});
