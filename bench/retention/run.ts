/**
 * `npm run bench:retention [-- FLAGS]`: what retention costs, in a registry of a million tags. bench/README.md explains the
 * figures. Ends with 1 where a bar is missed.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { type Bar, barTable, isMissed } from '../bars.ts';
import { evaluationBars } from './evaluation.ts';
import { fillRegistry } from './filled-registry.ts';
import { planBars } from './plan.ts';
import { pullBars } from './pulls.ts';
import { reviewBar } from './review.ts';

const parts = ['decide', 'plan', 'review', 'pulls'] as const;
type Part = (typeof parts)[number];

const options = new Command('bench:retention')
  .option('--repositories <count>', 'how many repositories', wholeNumber, 1000)
  .option('--tags <count>', 'how many tags each has', wholeNumber, 1000)
  .option('--changes <count>', 'how often one tag changes', wholeNumber, 2000)
  .option('--rounds <count>', 'how many plans by each policy', wholeNumber, 3)
  .option('--turns <count>', 'how often pulls are recorded and not recorded', wholeNumber, 3)
  .option('--seconds <duration>', 'how long each of these turns lasts: longer than pulls.flush', wholeNumber, 35)
  .option('--only <parts>', `some of ${parts.join(',')}`, partList, parts)
  .option('--dir <directory>', 'where the registry is filled', '.cache')
  .option('--registry <directory>', 'one that stays: filled where it is not there, and taken as it is where it is')
  .parse()
  .opts<{
    repositories: number;
    tags: number;
    changes: number;
    rounds: number;
    turns: number;
    seconds: number;
    only: readonly Part[];
    dir: string;
    registry?: string;
  }>();

/** The registry's time, in ms since 1970. */
const now = Date.UTC(2030, 0, 1);
const needsRegistry = options.only.some((part) => part !== 'decide');
const directory =
  options.registry === undefined ? await mkdtemp(join(resolve(options.dir), 'retention-')) : resolve(options.registry);
try {
  const bars = await measureAll();
  console.log(barTable(['', ''], bars));
  process.exitCode = bars.some(isMissed) ? 1 : 0;
} finally {
  if (options.registry === undefined) await rm(directory, { recursive: true });
}

async function measureAll(): Promise<readonly Bar[]> {
  const { only, changes, rounds } = options;
  if (needsRegistry && !existsSync(join(directory, 'wherry.db'))) await fill();
  const bars: Bar[] = [];
  const measure = async (part: Part, measured: () => Promise<readonly Bar[]>): Promise<void> => {
    if (!only.includes(part)) return;
    console.log(`measuring: ${part}`);
    bars.push(...(await measured()));
  };
  await measure('plan', () => planBars(directory, rounds, now));
  await measure('decide', () => Promise.resolve(evaluationBars(options, changes, now)));
  await measure('review', async () => [await reviewBar(directory, changes, now)]);
  await measure('pulls', () => pullBars(directory, options));
  return bars;
}

async function fill(): Promise<void> {
  const startedAt = performance.now();
  await fillRegistry(directory, options, now);
  const seconds = (performance.now() - startedAt) / 1000;
  console.log(`${options.repositories} repositories of ${options.tags} tags made in ${seconds.toFixed(0)} s`);
}

function partList(text: string): readonly Part[] {
  return text.split(',').map((word) => {
    const part = parts.find((name) => name === word);
    if (part === undefined) throw new InvalidArgumentError(`some of ${parts.join(',')}, please.`);
    return part;
  });
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,7}$/.test(text)) throw new InvalidArgumentError('It takes a whole number.');
  return Number(text);
}
