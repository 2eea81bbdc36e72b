import { writeFile } from 'node:fs/promises';
import { InvalidArgumentError, Option } from 'commander';
import { formatDuration, parseDuration } from '../config/duration.ts';
import type { Door, StormOptions } from '../storm/options.ts';
import { runInProcesses } from '../storm/processes.ts';
import { hasPassed, type StormReport } from '../storm/report.ts';
import { reportText } from '../storm/report-text.ts';
import { runStorm } from '../storm/storm.ts';
import { exitCodes } from './exit-codes.ts';
import type { CommandDefinition } from './command-definition.ts';
import { ProgressLine } from './progress-line.ts';

interface StormFlags {
  readonly duration: number;
  readonly clients: number;
  readonly processes: number;
  readonly seed: number;
  readonly repositories: number;
  readonly digests: number;
  readonly largeBlobs: number;
  readonly lease: number;
  readonly allowDown: boolean;
  readonly failFast: boolean;
  readonly deleteTags: boolean;
  readonly json?: string;
  readonly asProcess?: number;
}

/** `wherry storm URL…`: tells of any registry whether it loses images while they are pushed, pulled and deleted at once. */
export const defineStorm: CommandDefinition = (command, end) => {
  command
    .argument(
      '<url...>',
      'where the registry answers, such as http://127.0.0.1:5000; may hold USER:PASSWORD@; several where it has several processes',
      origins,
    )
    .option('--duration <duration>', 'how long it lasts', duration, 60_000)
    .option('--clients <count>', 'how many clients work at once, in each process', count, 8)
    .option('--processes <count>', 'how many processes they are spread over', count, 1)
    .option('--seed <number>', 'what the content and the order of things are made from', number, randomSeed())
    .option('--repositories <count>', 'how many repositories there are', count, 4)
    .option('--digests <count>', 'how many blobs there are, about', count, 300)
    .option('--large-blobs <count>', 'how many more of 6 to 12 MiB each process has', number, 0)
    .option(
      '--lease <duration>',
      'how long the registry promises to keep what it has told a client of and nothing uses yet',
      duration,
      60_000,
    )
    .option(
      '--allow-down',
      'the registry is killed or restarted meanwhile: broken connections and 503 are no fault',
      false,
    )
    .option('--fail-fast', 'end as soon as something is wrong', false)
    .option('--delete-tags', 'delete every tag in the end', false)
    .option('--json <file>', 'write the report to a file as well')
    .addOption(new Option('--as-process <number>').argParser(number).hideHelp())
    .addHelpText(
      'after',
      `
It uses the repositories storm/1, storm/2, … and leaves what it has pushed there. It ends with 1 where an acknowledged
image is lost or an answer is wrong; src/storm/README.md says what counts as that.

With several URLs, of the processes of one registry, each request goes to a random one, and what belongs to one upload to
another than the request before.`,
    )
    .action(async (urls: readonly URL[], flags: StormFlags) => end(await storm(urls, flags)));
};

async function storm(urls: readonly URL[], flags: StormFlags): Promise<number> {
  const { asProcess } = flags;
  if (asProcess !== undefined) {
    console.log(JSON.stringify(await runStorm(optionsOf(urls, flags, asProcess))));
    return exitCodes.success;
  }
  if (process.stderr.isTTY) console.error(`a storm of ${formatDuration(flags.duration)}, seed ${flags.seed}`);
  const showing = showTime(flags.duration);
  try {
    const report =
      flags.processes === 1
        ? await runStorm(optionsOf(urls, flags, 0))
        : await runInProcesses(argumentsOf(urls, flags), flags.processes);
    showing.end();
    return await tell(report, flags.json);
  } finally {
    showing.end();
  }
}

/** Shows a person how much of its time is over. */
function showTime(durationMs: number) {
  const progress = new ProgressLine();
  const startedAt = performance.now();
  const timer = setInterval(() => {
    const seconds = Math.floor((performance.now() - startedAt) / 1000);
    progress.tell(`${formatDuration(seconds * 1000)} of ${formatDuration(durationMs)}`);
  }, 1000);
  return {
    end(): void {
      clearInterval(timer);
      progress.clear();
    },
  };
}

async function tell(report: StormReport, file: string | undefined): Promise<number> {
  console.log(reportText(report));
  if (file !== undefined) await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
  return hasPassed(report) ? exitCodes.success : exitCodes.failure;
}

function doorOf({ origin, username, password }: URL): Door {
  const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return {
    origin,
    authorization: username === '' ? undefined : `Basic ${Buffer.from(user).toString('base64')}`,
  };
}

function optionsOf(urls: readonly URL[], flags: StormFlags, process: number): StormOptions {
  return {
    doors: urls.map(doorOf),
    durationMs: flags.duration,
    clients: flags.clients,
    process,
    seed: flags.seed,
    repositories: flags.repositories,
    digests: flags.digests,
    largeBlobs: flags.largeBlobs,
    leaseMs: flags.lease,
    allowDown: flags.allowDown,
    failFast: flags.failFast,
    deleteTags: flags.deleteTags,
  };
}

/** The same command for one of several processes. */
function argumentsOf(urls: readonly URL[], flags: StormFlags): readonly string[] {
  const { duration: durationMs, lease, clients, seed, repositories, digests, largeBlobs } = flags;
  const numbers = Object.entries({ clients, seed, repositories, digests });
  return [
    'storm',
    ...urls.map(({ href }) => href),
    '--duration',
    `${durationMs}ms`,
    '--lease',
    `${lease}ms`,
    ...numbers.flatMap(([name, value]) => [`--${name}`, String(value)]),
    '--large-blobs',
    String(largeBlobs),
    ...(flags.allowDown ? ['--allow-down'] : []),
    ...(flags.failFast ? ['--fail-fast'] : []),
    ...(flags.deleteTags ? ['--delete-tags'] : []),
  ];
}

function origins(text: string, before: readonly URL[] = []): readonly URL[] {
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.pathname !== '/') {
    throw new InvalidArgumentError('a URL without a path, please, such as http://127.0.0.1:5000.');
  }
  return [...before, url];
}

function duration(text: string): number {
  const parsed = parseDuration(text);
  if (!parsed.ok) throw new InvalidArgumentError(`${parsed.problem}.`);
  return parsed.ms;
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError('a whole number, please.');
  return value;
}

function count(text: string): number {
  const value = number(text);
  if (value === 0) throw new InvalidArgumentError('at least 1, please.');
  return value;
}

function randomSeed(): number {
  return Math.floor(Math.random() * 2 ** 32);
}
