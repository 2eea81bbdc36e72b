import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { z } from 'zod';
import { serverIn } from '../admin-access.ts';
import { parseByteSize } from '../config/byte-size.ts';
import { loadConfig } from '../config/load.ts';
import { type Counts, FindingCounts } from '../fsck/finding-counts.ts';
import { CannotCheckError, fsck, look, type Progress } from '../fsck/fsck.ts';
import type { LookLine } from '../fsck/look-lines.ts';
import { servedSince } from '../fsck/server-presence.ts';
import { checkEverything, shownFinding } from '../http/admin/fsck.ts';
import { clientOfServer, type Listener, noToken } from './admin-client.ts';
import { printableJson, printableLines } from '../oci/quote.ts';
import { StartupError } from '../startup-error.ts';
import type { CommandDefinition } from './command-definition.ts';
import { ProgressLine } from './progress-line.ts';

/** What the process ends with. */
const exitCodes = { clean: 0, findings: 1, couldNotRun: 2 } as const;

const defaultRate = '100MiB';
/** How often a process that looks for a server says how far it has come, in ms. */
const tellEveryMs = 200;

interface FsckFlags {
  readonly data?: string;
  readonly config?: string;
  readonly repair?: boolean;
  readonly dryRun?: boolean;
  readonly rehash?: boolean;
  readonly rate: number;
  readonly from?: string;
  readonly json?: boolean;
  readonly lookAt?: number;
}

/** `wherry fsck`: checks database and blobs against each other, by asking the server where one runs. */
export const defineFsck: CommandDefinition = (command: Command, end) => {
  command
    .option('--data <directory>', 'the data directory (default: that of the configuration)')
    .option('--config <file>', 'a YAML file with settings, which may name the data directory')
    .option('--repair', 'remove files that nothing owns, and have reviewed what nothing would review')
    .option('--dry-run', 'with --repair and --rehash: only say what they would do')
    .option(
      '--rehash',
      "read every blob and compare it with its digest; what is damaged goes to the data directory's quarantine/",
    )
    .option('--rate <size>', 'how much to read in a second with --rehash', rateOf, rateOf(defaultRate))
    .option(
      '--from <oid>',
      'the object after which --rehash begins (default: where the last one was broken off; 0: the first)',
      oidOf,
    )
    .option('--json', 'one JSON object a line: each finding, and at the end the counts')
    .addOption(new Option('--look-at <ms>').argParser(Number).hideHelp())
    .addHelpText('after', '\nEnds with 0 where nothing is wrong, 1 where something is, 2 where it could not look.')
    .action(async (flags: FsckFlags) => end(await check(flags)));
};

type Line = z.output<typeof checkEverything.line>;
type Told = Exclude<Line, { errors: unknown }>;
type Finding = Extract<Line, { finding: unknown }>['finding'];

async function check(flags: FsckFlags): Promise<number> {
  const loaded = await loadConfig({
    configFile: flags.config,
    flags: new Map(flags.data === undefined ? [] : [['data', flags.data]]),
    env: process.env,
    readFile: (path) => readFile(path, 'utf8'),
  });
  if (!loaded.ok) {
    console.error(['wherry fsck cannot run with this configuration:', ...loaded.problems].join('\n  '));
    return exitCodes.couldNotRun;
  }
  const directory = resolve(loaded.config.data);
  if (flags.lookAt !== undefined) return await lookForServer(directory, flags, flags.lookAt);
  const isJson = flags.json === true;
  const showing = new ProgressLine();
  let counts: Counts | undefined;
  try {
    for await (const line of linesOf(directory, flags, showing)) {
      if ('progress' in line) showing.show(line.progress);
      else if ('counts' in line) ({ counts } = line);
      else {
        showing.clear();
        console.log(isJson ? printableJson(JSON.stringify(line.finding)) : printableLines(textOf(line.finding, flags)));
      }
    }
    if (counts === undefined) throw new Error('the registry has broken off its answer');
  } catch (error) {
    showing.clear();
    console.error(`wherry fsck cannot run: ${reasonOf(error)}`);
    return exitCodes.couldNotRun;
  }
  showing.clear();
  console.log(isJson ? JSON.stringify({ counts }) : summaryOf(counts));
  return counts.loss + counts.leak > 0 ? exitCodes.findings : exitCodes.clean;
}

/** A server that runs checks by itself; without one, or where its token cannot be read, this process looks. */
function linesOf(directory: string, flags: FsckFlags, showing: ProgressLine): AsyncGenerator<Told, void, undefined> {
  if (servedSince(directory) === undefined) return byThisProcess(directory, flags, showing);
  const server = serverIn(directory);
  if (server !== undefined) return byServer(clientOfServer(server), flags);
  // Whoever may read the files may look at them; the registry's rows are its own to change.
  if (flags.repair === true) throw new StartupError(noToken(directory));
  return byThisProcess(directory, flags, showing);
}

async function* byServer(client: Listener, flags: FsckFlags): AsyncGenerator<Told, void, undefined> {
  const { repair = false, dryRun = false, rehash = false, rate: bytesPerSecond, from } = flags;
  const reading = { bytesPerSecond, ...(from !== undefined && { from }) };
  const body = { repair, dryRun, ...(rehash && { rehash: reading }) };
  for await (const line of client.listen(checkEverything, { body })) if (!('errors' in line)) yield line;
}

async function* byThisProcess(
  dataDirectory: string,
  flags: FsckFlags,
  showing: ProgressLine,
): AsyncGenerator<Told, void, undefined> {
  const counting = new FindingCounts();
  const repair = flags.repair === true && flags.dryRun !== true;
  const onProgress = (progress: Progress): void => showing.show(progress);
  for await (const found of fsck({ dataDirectory, repair, rehash: rehashOf(flags), onProgress })) {
    counting.add(found);
    yield { finding: shownFinding(found) };
  }
  yield { counts: counting.counts };
}

/** Looks for a server, which reads lines and repairs by itself what they tell. @param now in ms since 1970 */
async function lookForServer(dataDirectory: string, flags: FsckFlags, now: number): Promise<number> {
  const tell = (line: LookLine): void => console.log(JSON.stringify(line));
  let progress: Progress | undefined;
  const telling = setInterval(() => {
    if (progress !== undefined) tell({ progress });
    progress = undefined;
  }, tellEveryMs);
  const onProgress = (come: Progress): void => {
    progress = come;
  };
  try {
    const found = look({ dataDirectory, now, rehash: rehashOf(flags), onProgress });
    for await (const finding of found) tell({ finding });
  } catch (error) {
    if (!(error instanceof CannotCheckError)) throw error;
    tell({ cannotCheck: error.message });
  } finally {
    clearInterval(telling);
  }
  return exitCodes.clean;
}

function rehashOf({ rehash, rate: bytesPerSecond, from, dryRun: isTrial = false }: FsckFlags) {
  return rehash === true ? { bytesPerSecond, from, isTrial } : undefined;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function textOf(
  { code, severity, about, message, advice, breaks = [], isRepairable, isRepaired }: Finding,
  { repair = false, dryRun = false }: FsckFlags,
): string {
  const broken = breaks.length === 0 ? '' : `\n    breaks ${breaks.join(', ')}`;
  const wouldBe = repair && dryRun && isRepairable ? 'would be repaired' : advice;
  return `${severity} ${code} ${about}: ${message}${broken}\n    ${isRepaired ? 'repaired' : wouldBe}`;
}

function summaryOf({ loss, leak, note, repaired }: Counts): string {
  if (loss + leak + note === 0) return 'nothing is wrong';
  return `${loss} losses, ${leak} leaks, ${note} notes; ${repaired} repaired`;
}

function rateOf(text: string): number {
  const parsed = parseByteSize(text);
  if (!parsed.ok) throw new InvalidArgumentError(parsed.problem);
  if (parsed.sizeBytes === 0) throw new InvalidArgumentError('nothing could be read');
  return parsed.sizeBytes;
}

function oidOf(text: string): string {
  if (text === '0') return '';
  if (!/^[0-9a-f]{32}$/.test(text)) throw new InvalidArgumentError('an object id has 32 digits, 0-9 and a-f');
  return text;
}
