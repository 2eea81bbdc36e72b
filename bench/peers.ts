// `npm run bench`: this registry and its peers, side by side in one run. README.md says how to run it and what the
// figures mean.
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm, statfs } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { measurePull, measurePush, settleDisks } from './blob-transfer.ts';
import { measureDisk } from './disk-speed.ts';
import { addSample, median } from './figures.ts';
import { type ManifestGenerator, measureImages, measureManifests } from './generated-load.ts';
import { type BenchOptions, readOptions } from './options.ts';
import { treeUsage } from './process-tree.ts';
import { refusesWrongDigest } from './refuses-wrong-digest.ts';
import { type Contender, killDescendants, type RunningRegistry, startRegistry } from './running-registry.ts';
import { renewSourceBlob, type SourceBlob, writeSourceBlob } from './source-blob.ts';
import { type Column, sideBySide } from './table.ts';

const starts = 5;
const pullsEachRound = 2;
const manifestConnections = 32;
const imageConnections = 8;
const idleAfterMs = 1_000;

/** A registry in the race, with what has been found out about it so far. */
interface Entrant extends Column {
  readonly contender: Contender;
  /** What must be known to read its figures. */
  readonly remarks: Set<string>;
}

const progress = (text: string): void => console.error(text);

function choose(generator: BenchOptions['generator']): ManifestGenerator {
  const program = Bun.which('wrk');
  if (generator === 'own' || (generator === undefined && program === null)) return { kind: 'own' };
  if (program === null) throw new Error('wrk is not installed');
  return { kind: 'wrk', program };
}

/** One visit of a round: a fresh process on fresh directories, every measure that was asked for, and its memory. */
async function visit(
  entrant: Entrant,
  registry: RunningRegistry,
  source: SourceBlob | undefined,
  options: BenchOptions,
  generator: ManifestGenerator,
): Promise<void> {
  const { samples } = entrant;
  await Bun.sleep(idleAfterMs);
  addSample(samples, 'idleMB', treeUsage(registry.pid).residentBytes / 1e6);
  if (!(await refusesWrongDigest(registry))) entrant.remarks.add('accepts a blob whose bytes do not match its digest');

  if (source !== undefined) {
    await settleDisks();
    const push = await measurePush(registry, 'bench/large', source);
    addSample(samples, 'pushMBs', push.megabytesPerSecond);
    addSample(samples, 'pushCpu', push.cpuSecondsPerGigabyte);
    await settleDisks();
    for (let pull = 0; pull < pullsEachRound; pull += 1) {
      const pulled = await measurePull(registry, 'bench/large', source);
      addSample(samples, 'pullMBs', pulled.megabytesPerSecond);
      addSample(samples, 'pullCpu', pulled.cpuSecondsPerGigabyte);
    }
    addSample(samples, 'blobPeakMB', treeUsage(registry.pid).peakResidentBytes / 1e6);
  }
  if (options.only.has('manifests')) {
    await settleDisks();
    const load = await measureManifests(registry, generator, manifestConnections, options.seconds);
    addSample(samples, 'manifestsPerSecond', load.perSecond);
    addSample(samples, 'manifestCpu', load.cpuMicrosecondsEach);
  }
  if (options.only.has('images')) {
    await settleDisks();
    const load = await measureImages(registry, imageConnections, options.seconds);
    addSample(samples, 'imagesPerSecond', load.perSecond);
    addSample(samples, 'imageCpu', load.cpuMicrosecondsEach);
    if (load.generatorCores !== undefined) addSample(samples, 'imageGeneratorCores', load.generatorCores);
  }
  addSample(samples, 'peakMB', treeUsage(registry.pid).peakResidentBytes / 1e6);
}

/** Starts the entrant and does something with it; what goes wrong becomes a remark, so that the others go on. */
async function withRegistry(
  entrant: Entrant,
  workDirectory: string,
  use: (registry: RunningRegistry) => Promise<void>,
): Promise<void> {
  try {
    await using registry = await startRegistry(entrant.contender, workDirectory);
    await use(registry);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    progress(`  ${entrant.name}: ${message}`);
    entrant.remarks.add(`failed: ${message.split('\n')[0]}`);
  }
}

/** @returns how fast the disk itself took the blob in each round, in MB/s */
async function race(
  entrants: readonly Entrant[],
  workDirectory: string,
  options: BenchOptions,
): Promise<readonly number[]> {
  const generator = choose(options.generator);
  if (options.only.has('start')) {
    for (let start = 1; start <= starts; start += 1) {
      progress(`start ${start} of ${starts}`);
      for (const entrant of entrants) {
        await withRegistry(entrant, workDirectory, (registry) => {
          addSample(entrant.samples, 'startMs', registry.firstAnswerMs);
          return Promise.resolve();
        });
      }
    }
  }
  const diskSpeeds: number[] = [];
  if (options.only.size === 1 && options.only.has('start')) return diskSpeeds;

  let source: SourceBlob | undefined;
  if (options.only.has('blobs')) {
    progress('writing the blob');
    source = await writeSourceBlob(path.join(workDirectory, 'blob'), options.blobBytes);
  }
  for (let round = 1; round <= options.rounds; round += 1) {
    if (source !== undefined) {
      source = await renewSourceBlob(source);
      await settleDisks();
      diskSpeeds.push(await measureDisk(workDirectory, source));
    }
    for (const entrant of entrants) {
      progress(`round ${round} of ${options.rounds}: ${entrant.name}`);
      await withRegistry(entrant, workDirectory, (registry) => visit(entrant, registry, source, options, generator));
    }
  }
  return diskSpeeds;
}

async function machine(options: BenchOptions): Promise<string> {
  const { type } = await statfs(options.directory);
  const tmpfs = 0x01021994;
  return [
    `${os.cpus().length} × ${os.cpus()[0]?.model ?? 'unknown processor'}, ${Math.round(os.totalmem() / 1e9)} GB`,
    `Linux ${os.release()}, Bun ${Bun.version}`,
    `load before the run ${os.loadavg()[0]?.toFixed(2)}`,
    ...(type === tmpfs ? ['on a RAM disk, where a sync costs nothing: choose another with --dir'] : []),
  ].join('; ');
}

async function main(): Promise<void> {
  if (process.platform !== 'linux') throw new Error('The bench reads CPU time and memory from /proc: Linux only.');
  const options = readOptions(process.argv);
  await mkdir(options.directory, { recursive: true });
  const entrants: readonly Entrant[] = options.contenders.map((contender) => ({
    name: contender.adapter.name,
    contender,
    samples: new Map(),
    remarks: new Set(),
  }));
  const { bavail, bsize } = await statfs(options.directory);
  // The source, the registry's copy, and a second one where a registry copies when the upload closes.
  const neededBytes = options.only.has('blobs') ? 4 * options.blobBytes : 0;
  if (bavail * bsize < neededBytes) {
    throw new Error(
      `${options.directory} needs ${Math.ceil(neededBytes / 1e9)} GB free; use --dir or a smaller --gib.`,
    );
  }
  const heading = await machine(options);
  progress(`registries: ${entrants.map((entrant) => entrant.name).join(', ')}`);

  await using cleanUp = new AsyncDisposableStack();
  const workDirectory = await mkdtemp(path.join(options.directory, 'bench-'));
  cleanUp.defer(() => rm(workDirectory, { recursive: true, force: true }));
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => {
      // All at once, so that the race cannot go on in between and start the next registry.
      killDescendants();
      rmSync(workDirectory, { recursive: true, force: true, maxRetries: 5 });
      process.exit(130);
    });
  }
  const diskSpeed = median(await race(entrants, workDirectory, options));

  const generator = choose(options.generator).kind === 'wrk' ? 'wrk -t1' : 'the own generator, one thread';
  console.log(
    [
      heading,
      `medians of ${options.rounds} interleaved rounds, blob of ${Number((options.blobBytes / 2 ** 30).toFixed(3))} GiB, ` +
        `${options.seconds} s a load; manifests by ${generator} on ${manifestConnections} connections, ` +
        `images on ${imageConnections}; (n×): ${entrants[0]?.name} is n times better`,
      ...(diskSpeed === undefined
        ? []
        : [`the disk alone takes the blob at ${Math.round(diskSpeed)} MB/s, synced (dd)`]),
      '',
      sideBySide(entrants),
      ...entrants.flatMap(({ name, remarks }) => [...remarks].map((remark) => `\n${name} ${remark}`)),
    ].join('\n'),
  );
  if (options.jsonPath !== undefined) {
    const registries = entrants.map(({ name, samples, remarks }) => ({
      name,
      samples: Object.fromEntries(samples),
      remarks: [...remarks],
    }));
    await Bun.write(
      options.jsonPath,
      `${JSON.stringify({ machine: heading, registries, diskMBs: diskSpeed ?? null }, null, 2)}\n`,
    );
  }
  if (entrants.some(({ remarks }) => [...remarks].some((remark) => remark.startsWith('failed')))) process.exitCode = 1;
}

await main();
