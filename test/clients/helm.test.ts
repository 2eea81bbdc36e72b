import { expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import { clientProgram } from './client-programs.ts';
import { parseManifest, readImage } from './image-content.ts';
import { setStage } from './stage.ts';

setDefaultTimeout(120_000);

const program = await clientProgram('helm');
const stage = setStage('helm');
const { wherry, home } = stage;
const charts = `oci://${wherry.host}/helm/charts`;

async function helm(...args: readonly string[]): Promise<string> {
  return (await home.run([program, ...args])).stdout;
}

/** Packages and pushes a version of a chart; returns the package's path. */
async function push(name: string, version: string): Promise<string> {
  await helm('create', name);
  await helm('package', name, `--version=${version}`);
  const path = join(home.directory, `${name}-${version}.tgz`);
  await helm('push', path, charts, '--plain-http');
  return path;
}

async function pulled(chart: string, version: string, range: string): Promise<Uint8Array> {
  const directory = home.makeDirectory(`pulled-${crypto.randomUUID()}`);
  await helm('pull', `${charts}/${chart}`, `--version=${range}`, '--plain-http', `--destination=${directory}`);
  return Bun.file(join(directory, `${chart}-${version}.tgz`)).bytes();
}

test('a chart pushed with helm comes back byte for byte', async () => {
  const path = await push('wherry-boat', '0.1.0');

  const repository = stage.repository('helm/charts/wherry-boat');
  const digest = await repository.resolve('0.1.0');
  await readImage(repository, digest);
  const manifest = parseManifest(await repository.manifest(digest));
  expect(manifest.config?.mediaType).toBe('application/vnd.cncf.helm.config.v1+json');
  expect(await pulled('wherry-boat', '0.1.0', '0.1.0')).toEqual(await Bun.file(path).bytes());
});

test('a chart is found by a range of versions, a build suffix included', async () => {
  await push('punt', '1.0.0');
  const newest = await push('punt', '1.2.0+build.7');
  await push('punt', '2.0.0');

  expect(await stage.repository('helm/charts/punt').tags()).toEqual(['1.0.0', '1.2.0_build.7', '2.0.0']);
  expect(await pulled('punt', '1.2.0+build.7', '^1.0.0')).toEqual(await Bun.file(newest).bytes());
  const shown = await helm('show', 'chart', `${charts}/punt`, '--version=<2.0.0', '--plain-http');
  expect(shown).toContain('version: 1.2.0+build.7');
});

test('a chart can be rendered straight from the registry', async () => {
  await push('skiff', '0.3.0');

  const rendered = await helm('template', 'river', `${charts}/skiff`, '--version=0.3.0', '--plain-http');
  expect(rendered).toContain('name: river-skiff');
});
