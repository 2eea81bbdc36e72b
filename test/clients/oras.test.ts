import { expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import { z } from 'zod';
import { clientProgram } from './client-programs.ts';
import { fixtureTag } from './fixtures.ts';
import { digestOf, ociIndex, parseManifest, readImage } from './image-content.ts';
import { ImageLayout } from './image-layout.ts';
import { setStage } from './stage.ts';

setDefaultTimeout(120_000);

const program = await clientProgram('oras');
const stage = setStage('oras');
const { wherry, home, fixtures } = stage;
const artifactType = 'application/vnd.wherry.test';
const sbomType = 'application/spdx+json';

async function oras(command: string, ...args: readonly string[]): Promise<string> {
  return (await home.run([program, ...command.split(' '), '--plain-http', ...args])).stdout.trim();
}

async function copy(...args: readonly string[]): Promise<void> {
  await home.run([program, 'cp', '--no-tty', ...args]);
}

function lines(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '');
}

/** Pushes two files as an artifact, and returns its digest as the client tells it. */
async function pushArtifact(reference: string): Promise<string> {
  const directory = join(home.writeFile('artifact/words.txt', 'reeds and rushes\n'), '..');
  home.writeFile('artifact/noise.bin', crypto.getRandomValues(new Uint8Array(60_000)));
  const { stdout } = await home.run(
    [
      program,
      'push',
      '--plain-http',
      '--format=json',
      `--artifact-type=${artifactType}`,
      `${wherry.host}/${reference}`,
      'words.txt:text/plain',
      'noise.bin',
    ],
    { cwd: directory },
  );
  return z.object({ digest: z.string() }).parse(JSON.parse(stdout)).digest;
}

async function attach(reference: string, type: string, content: string): Promise<string> {
  home.writeFile('attached/attached.json', content);
  const { stdout } = await home.run(
    [
      program,
      'attach',
      '--plain-http',
      '--format=json',
      `--artifact-type=${type}`,
      `${wherry.host}/${reference}`,
      'attached.json',
    ],
    { cwd: join(home.directory, 'attached') },
  );
  return z.object({ digest: z.string() }).parse(JSON.parse(stdout)).digest;
}

const discoveredSchema = z.object({
  digest: z.string(),
  get referrers() {
    return z.array(discoveredSchema);
  },
});
type Discovered = z.infer<typeof discoveredSchema>;

async function discover(reference: string, ...args: readonly string[]): Promise<Discovered> {
  const found = await oras('discover', '--format=json', ...args, `${wherry.host}/${reference}`);
  return discoveredSchema.parse(JSON.parse(found));
}

test('files pushed with oras come back byte for byte', async () => {
  const digest = await pushArtifact('oras/files:1');
  const directory = home.makeDirectory('files-pulled');
  await oras('pull', `--output=${directory}`, `${wherry.host}/oras/files:1`);

  const repository = stage.repository('oras/files');
  expect(await repository.resolve('1')).toBe(digest);
  expect(parseManifest(await repository.manifest(digest)).artifactType).toBe(artifactType);
  await readImage(repository, digest);
  for (const name of ['words.txt', 'noise.bin']) {
    const pushed = await Bun.file(join(home.directory, 'artifact', name)).bytes();
    expect(await Bun.file(join(directory, name)).bytes()).toEqual(pushed);
  }
});

test.each([
  ['gzip', fixtures.gzip],
  ['zstd', fixtures.zstd],
  ['a multi-arch index', fixtures.platforms],
])('an image (%s) copied with oras comes back byte for byte', async (name, image) => {
  const { digest } = image.root();
  const repository = `oras/${name.replaceAll(' ', '-')}`;
  const reference = `${wherry.host}/${repository}:1`;
  await copy('--from-oci-layout', '--to-plain-http', `${image.directory}:${fixtureTag}`, reference);

  const content = await readImage(image, digest);
  expect(await stage.repository(repository).resolve('1')).toBe(digest);
  expect(await readImage(stage.repository(repository), digest)).toEqual(content);
  const layout = new ImageLayout(join(home.directory, repository));
  await copy('--from-plain-http', '--to-oci-layout', reference, `${layout.directory}:pulled`);
  expect(await readImage(layout, layout.root('pulled').digest)).toEqual(content);
});

test('referrers attached with oras are discovered, over several levels and by type', async () => {
  const subject = await pushArtifact('oras/subject:1');
  const sbom = await attach('oras/subject:1', sbomType, '{"sbom":1}');
  const signature = await attach('oras/subject:1', 'application/vnd.wherry.sig', '{"signed":true}');
  const signatureOfSbom = await attach(`oras/subject@${sbom}`, 'application/vnd.wherry.sig', '{"signed":"sbom"}');

  const found = await discover('oras/subject:1');
  expect(found.digest).toBe(subject);
  expect(found.referrers.map((referrer) => referrer.digest).toSorted()).toEqual([sbom, signature].toSorted());
  const levelBelow = found.referrers.find((referrer) => referrer.digest === sbom)?.referrers ?? [];
  expect(levelBelow.map((referrer) => referrer.digest)).toEqual([signatureOfSbom]);
  const sboms = await discover('oras/subject:1', `--artifact-type=${sbomType}`, '--depth=1');
  expect(sboms.referrers.map((referrer) => referrer.digest)).toEqual([sbom]);
  // The registry lists referrers itself: the client has had no need of a fallback tag.
  expect(await stage.repository('oras/subject').tags()).toEqual(['1']);
});

test('oras cp -r takes an artifact with its referrers to another repository and to a layout', async () => {
  const subject = await pushArtifact('oras/source:1');
  const sbom = await attach('oras/source:1', sbomType, '{"sbom":1}');
  const signatureOfSbom = await attach(`oras/source@${sbom}`, 'application/vnd.wherry.sig', '{"signed":"sbom"}');
  const [source, target] = [`${wherry.host}/oras/source:1`, `${wherry.host}/oras/target:1`];
  await copy('--recursive', '--from-plain-http', '--to-plain-http', source, target);
  const layout = new ImageLayout(join(home.directory, 'source'));
  await copy('--recursive', '--from-plain-http', '--to-oci-layout', target, `${layout.directory}:1`);

  const found = await discover('oras/target:1');
  expect(found).toMatchObject({
    digest: subject,
    referrers: [{ digest: sbom, referrers: [{ digest: signatureOfSbom, referrers: [] }] }],
  });
  for (const digest of [subject, sbom, signatureOfSbom]) {
    const content = await readImage(stage.repository('oras/source'), digest);
    expect(await readImage(stage.repository('oras/target'), digest)).toEqual(content);
    expect(await readImage(layout, digest)).toEqual(content);
  }
});

test('a referrer deleted with oras is no longer discovered, its subject stays', async () => {
  const subject = await pushArtifact('oras/less:1');
  const sbom = await attach('oras/less:1', sbomType, '{"sbom":1}');
  const other = await attach('oras/less:1', sbomType, '{"sbom":2}');
  await oras('manifest delete', '--force', `${wherry.host}/oras/less@${sbom}`);

  const found = await discover('oras/less:1');
  expect(found.referrers.map((referrer) => referrer.digest)).toEqual([other]);
  const repository = stage.repository('oras/less');
  expect(await repository.status(`manifests/${sbom}`)).toBe(404);
  await readImage(repository, subject);
});

test('oras lists repositories and tags, resolves a tag, and shows manifests as they were pushed', async () => {
  const digest = await pushArtifact('oras/shown:1');
  const image = `${wherry.host}/oras/shown`;
  await oras('tag', `${image}:1`, 'latest', 'v1.0.0');

  expect(lines(await oras('repo ls', wherry.host))).toContain('oras/shown');
  expect(lines(await oras('repo tags', image))).toEqual(['1', 'latest', 'v1.0.0']);
  expect(await oras('resolve', `${image}:v1.0.0`)).toBe(digest);
  const manifest = await home.run([program, 'manifest', 'fetch', '--plain-http', `${image}:latest`]);
  expect(manifest.stdoutBytes).toEqual(await stage.repository('oras/shown').manifest(digest));
});

test('oras makes a multi-arch index of images that are there', async () => {
  const image = `${wherry.host}/oras/index`;
  await copy('--from-oci-layout', '--to-plain-http', `${fixtures.platforms.directory}:${fixtureTag}`, `${image}:1`);
  const { manifests = [] } = parseManifest(await fixtures.platforms.manifest(fixtures.platforms.root().digest));
  const two = manifests.slice(1).map((child) => child.digest);
  await oras('manifest index create', `${image}:two`, ...two);

  const repository = stage.repository('oras/index');
  const digest = await repository.resolve('two');
  await readImage(repository, digest);
  const index = parseManifest(await repository.manifest(digest));
  expect(index.mediaType).toBe(ociIndex);
  expect(index.manifests?.map((child) => child.digest)).toEqual(two);
});

test('a blob pushed with oras comes back, and is gone once deleted', async () => {
  const content = crypto.getRandomValues(new Uint8Array(50_000));
  const file = home.writeFile('blob.bin', content);
  const reference = `${wherry.host}/oras/blob@${digestOf(content)}`;
  await oras('blob push', reference, file);
  await oras('blob fetch', '--output=fetched.bin', reference);

  expect(await Bun.file(join(home.directory, 'fetched.bin')).bytes()).toEqual(content);
  await oras('blob delete', '--force', reference);
  expect(await stage.repository('oras/blob').status(`blobs/${digestOf(content)}`)).toBe(404);
});
