import { statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { foundPeers, namedPeers } from './peers/all.ts';
import type { PeerAdapter } from './peers/adapter.ts';
import { wherry } from './peers/wherry.ts';
import type { Contender } from './running-registry.ts';

const cacheDirectory = fileURLToPath(new URL('../.cache', import.meta.url));

/** What can be measured by itself with `--only`; memory is measured along with each. */
export const measures = ['start', 'blobs', 'manifests', 'images'] as const;
export type Measure = (typeof measures)[number];

/** What a run of the bench is asked to do. */
export interface BenchOptions {
  /** This registry first, then the peers. */
  readonly contenders: readonly Contender[];
  readonly only: ReadonlySet<Measure>;
  readonly blobBytes: number;
  readonly rounds: number;
  /** How long each load of manifests or images lasts. */
  readonly seconds: number;
  /** Everything is stored below this directory, so its file system is the one that is measured. */
  readonly directory: string;
  readonly generator: 'wrk' | 'own' | undefined;
  readonly jsonPath: string | undefined;
}

function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError('a number above 0, please.');
  return value;
}

function positiveInteger(text: string): number {
  const value = positiveNumber(text);
  if (!Number.isInteger(value)) throw new InvalidArgumentError('a whole number, please.');
  return value;
}

function isMeasure(text: string): text is Measure {
  return measures.some((measure) => measure === text);
}

function measureSet(text: string): ReadonlySet<Measure> {
  const names = text.split(',');
  if (!names.every(isMeasure)) throw new InvalidArgumentError(`some of ${measures.join(',')}, please.`);
  return new Set(names);
}

function generatorName(text: string): 'wrk' | 'own' {
  if (text !== 'wrk' && text !== 'own') throw new InvalidArgumentError('wrk or own, please.');
  return text;
}

function isExecutableFile(file: string): boolean {
  const status = statSync(file, { throwIfNoEntry: false });
  return status?.isFile() === true && (status.mode & 0o111) !== 0;
}

function namedPeer(text: string, earlier: readonly Contender[] = []): readonly Contender[] {
  const equals = text.indexOf('=');
  const name = text.slice(0, Math.max(0, equals));
  const adapter = namedPeers.find((peer) => peer.name === name);
  if (adapter === undefined) {
    throw new InvalidArgumentError(
      `NAME=PATH, please, with a name of ${namedPeers.map((peer) => peer.name).join(', ')}.`,
    );
  }
  const program = path.resolve(text.slice(equals + 1));
  if (!isExecutableFile(program)) throw new InvalidArgumentError(`${program} is no program.`);
  return [...earlier, { adapter, program }];
}

function findPeer(adapter: PeerAdapter): readonly Contender[] {
  const searched = [process.env['PATH'] ?? '', path.join(cacheDirectory, 'bin')].join(path.delimiter);
  const program = Bun.which(adapter.program, { PATH: searched });
  return program === null ? [] : [{ adapter, program }];
}

/** Parses the command line; prints help or what is wrong with it and ends the process where there is nothing to run. */
export function readOptions(argv: readonly string[]): BenchOptions {
  const command = new Command('bench')
    .description(
      'Measures this registry and its peers side by side on this machine. bench/README.md explains the figures.',
    )
    .option('--peer <name=path>', 'a peer and its program (repeatable); others are found on PATH', namedPeer)
    .option('--no-find', 'measure only the peers given with --peer')
    .option('--only <measures>', `some of ${measures.join(',')} (default: all)`, measureSet)
    .option('--gib <size>', 'size of the blob in GiB', positiveNumber, 1)
    .option('--rounds <count>', 'rounds over all registries', positiveInteger, 3)
    .option('--seconds <duration>', 'how long each load lasts', positiveInteger, 4)
    .option('--dir <directory>', 'where the registries store (default: .cache)')
    .option('--generator <name>', 'wrk or own, for the manifest requests (wrk where it is installed)', generatorName)
    .option('--json <file>', 'write every sample to a file as well');
  const given = command.parse([...argv]).opts<{
    peer?: readonly Contender[];
    find: boolean;
    only?: ReadonlySet<Measure>;
    gib: number;
    rounds: number;
    seconds: number;
    dir?: string;
    generator?: 'wrk' | 'own';
    json?: string;
  }>();
  const { peer: named = [] } = given;
  const found = given.find
    ? foundPeers.filter((peer) => !named.some(({ adapter }) => adapter === peer)).flatMap(findPeer)
    : [];
  return {
    contenders: [{ adapter: wherry, program: wherry.program }, ...named, ...found],
    only: given.only ?? new Set(measures),
    blobBytes: Math.round(given.gib * 2 ** 30),
    rounds: given.rounds,
    seconds: given.seconds,
    directory: path.resolve(given.dir ?? cacheDirectory),
    generator: given.generator,
    jsonPath: given.json,
  };
}
