import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { parseByteSize } from '../config/byte-size.ts';
import { loadConfig } from '../config/load.ts';
import { CannotCheckError, fsck, type Progress, type Reported } from '../fsck/fsck.ts';
import type { CommandDefinition } from './command-definition.ts';

/** What the process ends with. */
const exitCodes = { clean: 0, findings: 1, couldNotRun: 2 } as const;

const defaultRate = '100MiB';
/** How often a person at a terminal sees how far it has come, in ms. */
const progressEveryMs = 200;

interface FsckFlags {
  readonly data?: string;
  readonly config?: string;
  readonly repair?: boolean;
  readonly rehash?: boolean;
  readonly rate: number;
  readonly from?: string;
  readonly json?: boolean;
}

/** `wherry fsck`: checks database and blobs against each other, beside a running server or without one. */
export const defineFsck: CommandDefinition = (command: Command, end) => {
  command
    .option('--data <directory>', 'the data directory (default: that of the configuration)')
    .option('--config <file>', 'a YAML file with settings, which may name the data directory')
    .option('--repair', 'remove files that nothing owns, and have reviewed what nothing would review')
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
    .addHelpText('after', '\nEnds with 0 where nothing is wrong, 1 where something is, 2 where it could not look.')
    .action(async (flags: FsckFlags) => end(await check(flags)));
};

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
  const isJson = flags.json === true;
  const showing = new ProgressLine(!isJson && process.stderr.isTTY);
  const counts = { loss: 0, leak: 0, note: 0, repaired: 0 };
  try {
    const findings = fsck({
      dataDirectory: resolve(loaded.config.data),
      repair: flags.repair === true,
      onProgress: (progress) => showing.show(progress),
      ...(flags.rehash === true ? { rehash: { bytesPerSecond: flags.rate, from: flags.from } } : {}),
    });
    for await (const finding of findings) {
      counts[finding.severity]++;
      if (finding.isRepaired) counts.repaired++;
      showing.clear();
      console.log(isJson ? jsonOf(finding) : textOf(finding));
    }
  } catch (error) {
    showing.clear();
    console.error(`wherry fsck cannot run: ${reasonOf(error)}`);
    return exitCodes.couldNotRun;
  }
  showing.clear();
  console.log(isJson ? JSON.stringify({ counts }) : summaryOf(counts));
  return counts.loss + counts.leak > 0 ? exitCodes.findings : exitCodes.clean;
}

function reasonOf(error: unknown): string {
  if (error instanceof CannotCheckError) return error.message;
  return error instanceof Error ? error.message : String(error);
}

function jsonOf({ code, severity, about, message, advice, breaks, isRepaired }: Reported): string {
  return JSON.stringify({ code, severity, about, message, advice, breaks, isRepaired });
}

function textOf({ code, severity, about, message, advice, breaks, isRepaired }: Reported): string {
  const broken = breaks === undefined || breaks.length === 0 ? '' : `\n    breaks ${breaks.join(', ')}`;
  return `${severity} ${code} ${about}: ${message}${broken}\n    ${isRepaired ? 'repaired' : advice}`;
}

function summaryOf({ loss, leak, note, repaired }: Record<'loss' | 'leak' | 'note' | 'repaired', number>): string {
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

/** A line that is written over and over. */
class ProgressLine {
  readonly #isShown: boolean;
  #shownAt = 0;

  constructor(isShown: boolean) {
    this.#isShown = isShown;
  }

  show({ name, done }: Progress): void {
    const now = performance.now();
    if (!this.#isShown || now - this.#shownAt < progressEveryMs) return;
    this.#shownAt = now;
    process.stderr.write(`\r\u001b[K${done.toLocaleString('en')} ${name}`);
  }

  clear(): void {
    if (this.#isShown && this.#shownAt > 0) process.stderr.write('\r\u001b[K');
  }
}
