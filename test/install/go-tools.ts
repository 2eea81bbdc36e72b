import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { outputOf } from './command.ts';
import { debianPackages } from './debian.ts';

/** The package of each program and the version that the tests were written against. */
const goTools = {
  conformance: {
    package: 'github.com/opencontainers/distribution-spec/conformance',
    // Neither @main nor a tag serves: the suite is a nested module without tags of its own.
    version: 'v0.0.0-20260831232431-97274622c111',
  },
  crane: { package: 'github.com/google/go-containerregistry/cmd/crane', version: 'v0.22.1' },
  regctl: { package: 'github.com/regclient/regclient/cmd/regctl', version: 'v0.11.7' },
  oras: { package: 'oras.land/oras/cmd/oras', version: 'v1.3.6' },
  helm: { package: 'helm.sh/helm/v3/cmd/helm', version: 'v3.22.0' },
  registry: { package: 'github.com/distribution/distribution/v3/cmd/registry', version: 'v3.1.2' },
  minio: { package: 'github.com/minio/minio', version: 'v0.0.0-20260212201848-7aac2a2c5b7c' },
  versitygw: { package: 'github.com/versity/versitygw/cmd/versitygw', version: 'v1.8.0' },
  cosign: { package: 'github.com/sigstore/cosign/v2/cmd/cosign', version: 'v2.6.5' },
} as const;

/** A program that the tests build from its Go module. */
export type GoToolName = keyof typeof goTools;

const projectDirectory = path.join(import.meta.dir, '..', '..');
const binDirectory = path.join(projectDirectory, '.cache', 'bin');

/** The oldest Go that can fetch by itself the newer one which a module asks for. */
const oldestGoMinor = 21;

/**
 * The path of a Go program in its pinned version. The first call builds it with `go install` into `.cache/bin`, which
 * takes minutes for the large ones; it may be called by several processes at once.
 *
 * @throws if there is no Go, or the program cannot be fetched or built
 */
export async function goTool(name: GoToolName): Promise<string> {
  const { package: goPackage, version } = goTools[name];
  // The version is part of the path, so that a new pin is never answered with an old program.
  const directory = path.join(binDirectory, `${name}@${version}`);
  const program = path.join(directory, name);
  if (existsSync(program)) return program;

  await requireGo();
  await mkdir(binDirectory, { recursive: true });
  const building = await mkdtemp(path.join(binDirectory, '.building-'));
  try {
    console.error(`Building ${name} ${version}`);
    await outputOf(['go', 'install', '-trimpath', `${goPackage}@${version}`], { GOBIN: building, GOTOOLCHAIN: 'auto' });
    await rename(building, directory);
  } catch (error) {
    await rm(building, { recursive: true, force: true });
    // Somebody else may have built it meanwhile.
    if (!existsSync(program)) throw error;
  }
  return program;
}

/** Makes sure that there is a Go that can build what is asked for, and installs one where there is none. @throws if that cannot be */
export async function requireGo(): Promise<void> {
  if (Bun.which('go') === null) await debianPackages(['golang-go']);
  const version = await outputOf(['go', 'env', 'GOVERSION']);
  const minor = /^go1\.(\d+)/.exec(version)?.[1];
  if (minor === undefined || Number(minor) < oldestGoMinor) {
    throw new Error(`Go 1.${oldestGoMinor} or newer is needed to build the clients, and this is ${version.trim()}.`);
  }
}
