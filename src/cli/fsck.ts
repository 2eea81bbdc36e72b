import { readFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { z } from 'zod';
import { serverIn } from '../server/admin-access.ts';
import { expectBlobsAt } from '../stores/blobs-place.ts';
import { placesOf } from '../stores/checked-places.ts';
import { parseByteSize } from '../config/byte-size.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { type Counts, FindingCounts } from '../fsck/finding-counts.ts';
import { CannotCheckError, fsck, look, type Progress } from '../fsck/fsck.ts';
import type { LookLine } from '../fsck/look-lines.ts';
import { lookRequest } from '../fsck/look-request.ts';
import { servedSince } from '../fsck/sqlite/server-presence.ts';
import { checkEverything, shownFinding } from '../http/admin/fsck.ts';
import { jsonLines } from '../json-lines.ts';
import { createLog } from '../log/log.ts';
import { clientOfServer, type Listener, noToken } from './admin-client.ts';
import { printableJson, printableLines } from '../oci/quote.ts';
import { StartupError } from '../startup-error.ts';
import type { CommandDefinition } from './command-definition.ts';
import { ProgressLine } from './progress-line.ts';
import { addSettingFlags, type ConfigFlags, saysWhere } from './setting-flags.ts';

/** What the process ends with. */
const exitCodes = { clean: 0, findings: 1, couldNotRun: 2 } as const;

const defaultRate = '100MiB';
/** How often a process that looks for a server says how far it has come, in ms. */
const tellEveryMs = 200;

interface FsckFlags {
  readonly repair?: boolean;
  readonly dryRun?: boolean;
  readonly rehash?: boolean;
  readonly rate: number;
  readonly from?: string;
  readonly json?: boolean;
  readonly lookForServer?: boolean;
}

/** `wherry fsck`: checks database and blobs against each other, by asking the server where one runs. */
export const defineFsck: CommandDefinition = (command: Command, end) => {
  const readFlags = addSettingFlags(command, saysWhere);
  command
    .option(
      '--repair',
      'remove files that nothing owns, or adopt them after a restore, and have reviewed what nothing would review',
    )
    .option('--dry-run', 'with --repair and --rehash: only say what they would do')
    .option(
      '--rehash',
      'read every blob and compare it with its digest; what is damaged goes to quarantine/ beside the blobs',
    )
    .option('--rate <size>', 'how much to read in a second with --rehash', rateOf, rateOf(defaultRate))
    .option(
      '--from <oid>',
      'the object after which --rehash begins (default: where the last one was broken off; 0: the first)',
      oidOf,
    )
    .option('--json', 'one JSON object a line: each finding, and at the end the counts')
    .addOption(new Option('--look-for-server').hideHelp())
    .addHelpText('after', '\nEnds with 0 where nothing is wrong, 1 where something is, 2 where it could not look.')
    .action(async (flags: FsckFlags) => {
      end(flags.lookForServer === true ? await lookForServer() : await check(flags, readFlags()));
    });
};

type Line = z.output<typeof checkEverything.line>;
type Told = Exclude<Line, { errors: unknown }>;
type Finding = Extract<Line, { finding: unknown }>['finding'];

async function check(flags: FsckFlags, { configFile, values }: ConfigFlags): Promise<number> {
  const loaded = await loadConfig({
    configFile,
    flags: values,
    env: process.env,
    readFile: (path) => readFile(path, 'utf8'),
  });
  if (!loaded.ok) {
    console.error(['wherry fsck cannot run with this configuration:', ...loaded.problems].join('\n  '));
    return exitCodes.couldNotRun;
  }
  const isJson = flags.json === true;
  const showing = new ProgressLine();
  let counts: Counts | undefined;
  try {
    for await (const line of linesOf(loaded.config, flags, showing)) {
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

/**
 * A server that has a database to itself checks by itself; without one, where its token cannot be read, and where several
 * may be using the database, this process looks.
 */
function linesOf(config: Config, flags: FsckFlags, showing: ProgressLine): AsyncGenerator<Told, void, undefined> {
  const { dataDirectory: directory, database } = placesOf(config);
  if (database !== undefined || servedSince(directory) === undefined) return byThisProcess(config, flags, showing);
  const server = serverIn(directory);
  if (server !== undefined) return byServer(clientOfServer(server), flags);
  // Whoever may read the files may look at them; the registry's rows are its own to change.
  if (flags.repair === true) throw new StartupError(noToken(directory));
  return byThisProcess(config, flags, showing);
}

async function* byServer(client: Listener, flags: FsckFlags): AsyncGenerator<Told, void, undefined> {
  const { repair = false, dryRun = false, rehash = false, rate: bytesPerSecond, from } = flags;
  const reading = { bytesPerSecond, ...(from !== undefined && { from }) };
  const body = { repair, dryRun, ...(rehash && { rehash: reading }) };
  for await (const line of client.listen(checkEverything, { body })) if (!('errors' in line)) yield line;
}

async function* byThisProcess(
  config: Config,
  flags: FsckFlags,
  showing: ProgressLine,
): AsyncGenerator<Told, void, undefined> {
  const places = placesOf(config);
  expectBlobsAt(places.dataDirectory, config.blobs);
  const counting = new FindingCounts();
  const isRepairing = flags.repair === true && flags.dryRun !== true;
  await using shared = isRepairing && places.database !== undefined ? await sharedRepairs(config) : undefined;
  const repair = shared === undefined ? isRepairing : shared.make.bind(shared);
  const keepAdoptedMs = config.windows.adoptedMs;
  const onProgress = (progress: Progress): void => showing.show(progress);
  for await (const found of fsck({ ...places, repair, keepAdoptedMs, rehash: rehashOf(flags), onProgress })) {
    counting.add(found);
    yield { finding: shownFinding(found) };
  }
  yield { counts: counting.counts };
}

/** The registry itself is loaded for those only who need it. */
async function sharedRepairs(config: Config) {
  const { SharedRepairs } = await import('../server/shared-repairs.ts');
  return new SharedRepairs(config, await createLog({ level: 'error', format: 'auto', stream: process.stderr }));
}

/** Looks for a server, or for whoever moves a registry, which says where, reads lines, and repairs by itself what they tell. */
async function lookForServer(): Promise<number> {
  const { value: asked } = await jsonLines(Bun.stdin.stream()).next();
  const request = lookRequest.parse(asked);
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
    const found = look({ ...request, onProgress });
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
