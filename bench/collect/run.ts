/**
 * `npm run bench:collect [-- FLAGS]`: what deleting costs, in registries of several sizes. bench/README.md explains the
 * figures. Ends with 1 where a bar is missed.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { SeededRandom } from '../../src/storm/seeded-random.ts';
import { median } from '../figures.ts';
import { type Bar, barTable, isMissed } from '../bars.ts';
import { type DeleteCost, deleteImage } from './delete-cost.ts';
import { measureDisturbance } from './disturbance.ts';
import { type FilledImage, fillDirectory, imageOf, releaseImages, writeFiles } from './filled-directory.ts';
import { measureStart } from './idle-start.ts';
import { serveCounted } from './in-process.ts';

const options = new Command('bench:collect')
  .option('--sizes <counts>', 'how many images the registries hold', sizeList, [10_000, 100_000, 1_000_000])
  .option('--rounds <count>', 'rounds over all sizes', wholeNumber, 8)
  .option('--deletes <count>', 'deletes in each round', wholeNumber, 25)
  .option('--images <count>', 'images that are collected at once', wholeNumber, 10_000)
  .option('--turns <count>', 'how often the collector rests and works', wholeNumber, 6)
  .option('--seconds <duration>', 'how long each turn lasts', wholeNumber, 5)
  .option('--dir <directory>', 'where the registries store', '.cache')
  .parse()
  .opts<{
    sizes: readonly number[];
    rounds: number;
    deletes: number;
    images: number;
    turns: number;
    seconds: number;
    dir: string;
  }>();

/** Images that are released for the collector to be at work in each second of its turns: more than it gets through. */
const releasedASecond = 2500;

interface Filled {
  readonly size: number;
  readonly directory: string;
  /** Images to delete, in an order that goes all over the registry; each is taken once. */
  readonly doomed: FilledImage[];
  readonly costs: DeleteCost[];
  readonly startsMs: number[];
}

const root = await mkdtemp(join(resolve(options.dir), 'collect-'));
try {
  const bars = await measureAll();
  process.exitCode = bars.some(isMissed) ? 1 : 0;
} finally {
  await rm(root, { recursive: true, force: true });
}

async function measureAll(): Promise<readonly Bar[]> {
  const filled: Filled[] = [];
  for (const size of options.sizes) filled.push(await fill(size));
  console.log('measuring starts');
  await measureStarts(filled);
  console.log('measuring deletes');
  await measureDeletes(filled);
  const largest = filled.at(-1);
  if (largest === undefined) throw new Error('there is no size');
  console.log('collecting, then collecting beside a load');
  const bars = [...growthBars(filled), await collectionBar(largest), ...(await disturbanceBars(largest))];
  const columns = filled.map(({ size }) => `${size.toLocaleString('en')} images`);
  console.log(barTable(columns, bars));
  return bars;
}

async function fill(size: number): Promise<Filled> {
  const directory = join(root, String(size));
  const startedAt = performance.now();
  await fillDirectory(directory, size);
  const isLargest = size === Math.max(...options.sizes);
  const released = options.images + options.turns * (options.seconds + 2) * releasedASecond;
  const wanted = options.rounds * options.deletes + (isLargest ? released : 0);
  if (wanted > size) throw new Error(`${size} images are too few to delete ${wanted} of them`);
  const doomed = Array.from({ length: wanted }, (_unused, at) => imageOf(Math.floor((at * size) / wanted)));
  shuffle(doomed);
  await writeFiles(directory, doomed);
  console.log(`${size} images made in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  return { size, directory, doomed, costs: [], startsMs: [] };
}

async function measureStarts(filled: readonly Filled[]): Promise<void> {
  for (const { directory } of filled) await measureStart(directory);
  for (let round = 0; round < options.rounds; round += 1) {
    for (const { directory, startsMs } of filled) startsMs.push(await measureStart(directory));
  }
}

async function measureDeletes(filled: readonly Filled[]): Promise<void> {
  for (let round = 0; round < options.rounds; round += 1) {
    for (const { directory, doomed, costs } of filled) {
      await using registry = await serveCounted(directory);
      const images = doomed.splice(0, options.deletes);
      // The first one finds nothing prepared, in the program and in the database's cache.
      for (const [at, image] of images.entries()) {
        const cost = await deleteImage(registry, image);
        if (at >= images.length / 5) costs.push(cost);
      }
    }
  }
}

function growthBars(filled: readonly Filled[]): readonly Bar[] {
  const bar = (what: string, values: readonly number[], digits: number): Bar => ({
    what,
    figures: values.map((value) => value.toFixed(digits)),
    is: Math.max(...values) / Math.min(...values),
    limit: 1.5,
    better: 'lower',
    unit: '×',
  });
  const of = (measured: (one: Filled) => readonly number[]): number[] =>
    filled.map((one) => median(measured(one)) ?? NaN);
  return [
    bar(
      'delete of an image, bytes included, ms',
      of(({ costs }) => costs.map(({ ms }) => ms)),
      2,
    ),
    bar(
      'statements for it',
      of(({ costs }) => costs.map(({ statements }) => statements)),
      0,
    ),
    bar(
      'rows read and changed by it',
      of(({ costs }) => costs.map(({ rows }) => rows)),
      0,
    ),
    bar(
      'start with an idle queue, ms',
      of(({ startsMs }) => startsMs),
      0,
    ),
  ];
}

async function collectionBar({ directory, doomed }: Filled): Promise<Bar> {
  releaseImages(directory, doomed.splice(0, options.images));
  await using registry = await serveCounted(directory);
  const startedAt = performance.now();
  await registry.server.collector.workOff();
  const perSecond = options.images / ((performance.now() - startedAt) / 1000);
  return {
    what: `${options.images.toLocaleString('en')} images collected, images/s`,
    figures: onlyLargest(perSecond.toFixed(0)),
    is: perSecond,
    limit: 500,
    better: 'higher',
    unit: '/s',
  };
}

async function disturbanceBars({ directory, doomed }: Filled): Promise<readonly Bar[]> {
  releaseImages(directory, doomed.splice(0));
  const { resting, working, collectedASecond } = await measureDisturbance(directory, options.turns, options.seconds);
  console.log(`${collectedASecond.toFixed(0)} images/s were collected beside the load`);
  const bar = (what: string, without: readonly number[], during: readonly number[]): Bar => {
    const [p99Without, p99During] = [quantile(without, 0.99), quantile(during, 0.99)];
    return {
      what: `p99 of ${without.length} ${what}, collector resting → working, ms`,
      figures: onlyLargest(`${p99Without.toFixed(2)} → ${p99During.toFixed(2)}`),
      is: p99During / p99Without,
      limit: 1.2,
      better: 'lower',
      unit: '×',
    };
  };
  return [bar('pushes', resting.pushesMs, working.pushesMs), bar('pulls', resting.pullsMs, working.pullsMs)];
}

function onlyLargest(figure: string): readonly string[] {
  return options.sizes.map((size) => (size === Math.max(...options.sizes) ? figure : ''));
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

function shuffle(images: FilledImage[]): void {
  const random = new SeededRandom(1);
  for (let at = images.length - 1; at > 0; at -= 1) {
    const other = random.between(0, at);
    const [one, two] = [images[at], images[other]];
    if (one !== undefined && two !== undefined) [images[at], images[other]] = [two, one];
  }
}

function sizeList(text: string): readonly number[] {
  return text.split(',').map(wholeNumber);
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value <= 0) throw new InvalidArgumentError('a whole number above 0, please.');
  return value;
}
