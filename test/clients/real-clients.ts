import { writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Acknowledged } from './acknowledgements.ts';
import type { ClientHome } from './client-home.ts';
import { clientProgram } from './client-programs.ts';
import { composeImage } from './composed-image.ts';
import type { CrashRun } from './crash-run.ts';
import { type Descriptor, ociIndex, readImage } from './image-content.ts';
import { ImageLayout } from './image-layout.ts';
import type { SeededRandom } from './seeded-random.ts';

/** A client program, as far as the crash test needs it. */
interface RealClient {
  readonly name: string;
  /** Pushes the root of a layout. */
  push(layout: ImageLayout, root: Descriptor, reference: string): Promise<void>;
  /** Copies an image within the registry, by digest, so that its layers can be mounted. */
  copy(source: string, target: string): Promise<void>;
  /** Pulls all of an image, or of a multi-arch index, into a new layout. */
  pull(reference: string, directory: string): Promise<void>;
}

/** crane, skopeo, regctl and oras, ready to talk to the registry at `host`. */
export async function realClients(home: ClientHome, host: string): Promise<readonly RealClient[]> {
  const [crane, skopeo, regctl, oras] = await Promise.all(
    (['crane', 'skopeo', 'regctl', 'oras'] as const).map(async (name) => clientProgram(name)),
  );
  const env = { _CONTAINERS_ROOTLESS_UID: '1000' };
  const run = async (program: string | undefined, ...args: readonly string[]): Promise<void> => {
    await home.run([program ?? '', ...args], { env, timeoutMs: 60_000 });
  };
  const skopeoCopy = [
    'copy',
    '--quiet',
    '--all',
    '--preserve-digests',
    '--src-tls-verify=false',
    '--dest-tls-verify=false',
  ];
  await run(
    regctl,
    'registry',
    'set',
    host,
    '--tls=disabled',
    '--blob-chunk=3000000',
    '--blob-max=6000000',
    '--skip-check',
  );
  return [
    {
      name: 'crane',
      async push(layout, root, reference) {
        if (root.mediaType === ociIndex) {
          // crane pushes a layout's own index: let that be the multi-arch index itself.
          writeFileSync(join(layout.directory, 'index.json'), await layout.manifest(root.digest));
          await run(crane, 'push', '--index', layout.directory, reference);
        } else {
          await run(crane, 'push', layout.directory, reference);
        }
      },
      async copy(source, target) {
        await run(crane, 'copy', source, target);
      },
      async pull(reference, directory) {
        await run(crane, 'pull', '--format=oci', reference, directory);
      },
    },
    {
      name: 'skopeo',
      async push(layout, _, reference) {
        await run(skopeo, ...skopeoCopy, `oci:${layout.directory}:composed`, `docker://${reference}`);
      },
      async copy(source, target) {
        await run(skopeo, ...skopeoCopy, `docker://${source}`, `docker://${target}`);
      },
      async pull(reference, directory) {
        await run(skopeo, ...skopeoCopy, `docker://${reference}`, `oci:${directory}:pulled`);
      },
    },
    {
      name: 'regctl',
      async push(layout, _, reference) {
        await run(regctl, 'image', 'copy', `ocidir://${layout.directory}:composed`, reference);
      },
      async copy(source, target) {
        await run(regctl, 'image', 'copy', source, target);
      },
      async pull(reference, directory) {
        await run(regctl, 'image', 'copy', reference, `ocidir://${directory}:pulled`);
      },
    },
    {
      name: 'oras',
      async push(layout, _, reference) {
        await run(
          oras,
          'cp',
          '--no-tty',
          '--from-oci-layout',
          '--to-plain-http',
          `${layout.directory}:composed`,
          reference,
        );
      },
      async copy(source, target) {
        await run(oras, 'cp', '--no-tty', '--from-plain-http', '--to-plain-http', source, target);
      },
      async pull(reference, directory) {
        await run(oras, 'cp', '--no-tty', '--from-plain-http', '--to-oci-layout', reference, `${directory}:pulled`);
      },
    },
  ];
}

/** Pushes, copies and pulls images of tens of megabytes with a real client until the time is over. */
export async function workWithClient(run: CrashRun, client: RealClient, random: SeededRandom): Promise<void> {
  const directory = run.home.makeDirectory(`crash-${client.name}`);
  for (let count = 0; !run.isOver; count += 1) {
    const target = { client: client.name, repository: `crash/${client.name}/${count % 5}`, tag: `image-${count}` };
    const source = random.pick(run.acknowledgements.images);
    if (source !== undefined && random.chance(0.25)) await copyImage(run, client, source, target);
    else await pushImage(run, client, random, join(directory, `push-${count}`), target);
    const image = random.pick(run.acknowledgements.images);
    if (image !== undefined) await pullImage(run, client, image, join(directory, `pull-${count}`));
  }
}

type Target = Omit<Acknowledged, 'digest'>;

async function pushImage(
  run: CrashRun,
  client: RealClient,
  random: SeededRandom,
  directory: string,
  target: Target,
): Promise<void> {
  const { small, platforms, gzip } = run.fixtures;
  const base = random.chance(0.15) ? gzip : random.chance(0.35) ? platforms : small;
  const layout = await composeImage(base, directory, random.between(1 << 10, 3 << 20));
  const reference = `${run.host}/${target.repository}:${target.tag}`;
  const root = layout.root();
  const pushed = await run.persist(client.name, async () => {
    await client.push(layout, root, reference);
    return true;
  });
  if (pushed !== undefined) run.acknowledgements.pushed({ ...target, digest: root.digest });
  await rm(directory, { recursive: true });
}

async function copyImage(run: CrashRun, client: RealClient, source: Acknowledged, target: Target): Promise<void> {
  const { digest } = source;
  const copied = await run.persist(client.name, async () => {
    await client.copy(`${run.host}/${source.repository}@${digest}`, `${run.host}/${target.repository}:${target.tag}`);
    return true;
  });
  if (copied !== undefined) run.acknowledgements.pushed({ ...target, digest });
}

async function pullImage(run: CrashRun, client: RealClient, image: Acknowledged, directory: string): Promise<void> {
  const pulled = await run.persist(client.name, async () => {
    await rm(directory, { recursive: true, force: true });
    await client.pull(`${run.host}/${image.repository}@${image.digest}`, directory);
    await readImage(new ImageLayout(directory), image.digest);
    return true;
  });
  if (pulled !== undefined) run.pulls += 1;
  await rm(directory, { recursive: true, force: true });
}
