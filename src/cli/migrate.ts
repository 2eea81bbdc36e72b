import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { InvalidArgumentError } from 'commander';
import { parseByteSize } from '../config/byte-size.ts';
import { configFileVariable, type Environment, variableOf } from '../config/environment.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { Pace } from '../fsck/pace.ts';
import { beginReadOnly, endReadOnly, readOnlyStatus, renewTheReadOnly } from '../http/admin/read-only.ts';
import { createLog } from '../log/log.ts';
import { openFailureText } from '../metadata/postgres/open-failure.ts';
import { CopyDiffersError } from '../moving/copy-metadata.ts';
import { checkNewPlace } from '../moving/check-new-place.ts';
import { openSource, openTarget } from '../moving/ends.ts';
import { type ChangeSwitch, HoldLostError } from '../moving/hold.ts';
import { move, type Moved, StopMoveError, type Teller } from '../moving/move.ts';
import { placeOf, placeText } from '../moving/place.ts';
import { placeSettings } from '../moving/place-settings.ts';
import { tablesOfSchema } from '../moving/tables.ts';
import { printableLines } from '../oci/quote.ts';
import { StartupError } from '../startup-error.ts';
import { openBlobsOf } from '../stores/open-blobs.ts';
import { type AdminClient, openAdmin, RefusedError } from './admin-client.ts';
import type { CommandDefinition } from './command-definition.ts';
import { exitCodes } from './exit-codes.ts';
import { type ConfigFlags, takesConfig } from './given-config.ts';
import { movedText } from './moved-text.ts';
import { ProgressLine } from './progress-line.ts';

interface MigrateFlags extends ConfigFlags {
  readonly fromConfig?: string;
  readonly toConfig?: string;
  readonly toData?: string;
  readonly toMetadata?: string;
  readonly toBlobs?: string;
  readonly atOnce: number;
  readonly rate?: number;
  readonly leaveDamaged?: boolean;
  readonly fsck: boolean;
  readonly json?: boolean;
}

/** `wherry migrate`: moves a registry to another database, other blob storage, or both, while it serves pulls. */
export const defineMigrate: CommandDefinition = (command, end) => {
  takesConfig(command)
    .option('--from-config <file>', 'the same as --config')
    .option('--to-config <file>', 'the configuration with which it is to be served afterwards')
    .option(
      '--to-metadata <place>',
      'sqlite, or postgres://…: where the metadata is to lie (a password is better put into --to-config)',
    )
    .option('--to-blobs <place>', 'directory, or s3://BUCKET/PREFIX: where the blobs are to lie')
    .option('--to-data <directory>', 'the data directory that it is to have')
    .option('--at-once <number>', 'how many blobs are copied side by side', countOf, 4)
    .option('--rate <size>', 'how much of blobs to read in a second (default: as much as there comes)', rateOf)
    .option('--leave-damaged', 'go on although blobs are damaged where they are')
    .option('--no-fsck', 'do not have wherry fsck look at the new place in the end')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nPulls are served throughout. Pushes and deletes are refused (503) while the last blobs and the metadata are copied, and' +
        '\nstay so: then serve the new place. Broken off, the same command goes on. docs/moving.md says more.',
    )
    .action(async (flags: MigrateFlags) => end(await migrate(flags)));
};

async function migrate(flags: MigrateFlags): Promise<number> {
  const configs = await configsOf(flags);
  if (configs === undefined) return exitCodes.usage;
  const { from, to, toConfigFile } = configs;
  const progress = new ProgressLine();
  const startedAt = performance.now();
  try {
    const moved = await moveBetween(from, to, { flags, toConfigFile, progress });
    progress.clear();
    const tookMs = Math.round(performance.now() - startedAt);
    const place = placeText(placeOf(to));
    console.log(
      flags.json === true
        ? JSON.stringify({ to: place, settings: placeSettings(to), tookMs, ...moved })
        : printableLines(movedText(moved, { tookMs, from, to })),
    );
    return exitCodes.success;
  } catch (error) {
    progress.clear();
    const reason = reasonOf(error, from, to);
    if (reason === undefined) throw error;
    console.error(printableLines(`wherry: it was not moved: ${reason}`));
    return exitCodes.failure;
  }
}

interface Moving {
  readonly flags: MigrateFlags;
  readonly toConfigFile: string | undefined;
  readonly progress: ProgressLine;
}

async function moveBetween(from: Config, to: Config, { flags, toConfigFile, progress }: Moving): Promise<Moved> {
  const log = await createLog({ level: 'error', format: 'auto', stream: process.stderr });
  await using target = await openTarget(from, to);
  const admin = await openAdmin(from);
  try {
    const blobs = await openBlobsOf(from, log);
    await using metadata = await openSource(from);
    const leavesDamaged = flags.leaveDamaged === true;
    const tell = tellerOf(progress);
    return await move({
      from: { metadata, blobs, changes: changesOf(admin, tell) },
      to: target,
      tables: tablesOfSchema(),
      atOnce: flags.atOnce,
      pace: flags.rate === undefined ? undefined : new Pace(flags.rate),
      leavesDamaged,
      check: async () => {
        if (flags.fsck) tell.phase(await checkNewPlace(to, { configFile: toConfigFile, leavesDamaged }));
      },
      arrived: async () => await target.arrived(),
      tell,
      now: Date.now,
    });
  } finally {
    await admin.close();
  }
}

/** How often it is looked whether an earlier try has ended, in ms. */
const waitMs = 1000;

/** The registry's own switch, over its admin API. */
function changesOf(admin: AdminClient, tell: Teller): ChangeSwitch {
  // Of this try alone: whether changes were let in between two of them must not go unnoticed.
  const token = randomBytes(16).toString('hex');
  return {
    async state() {
      const { isReadOnly, movedTo, reason } = await admin.ask(readOnlyStatus);
      return isReadOnly ? { movedTo, reason } : undefined;
    },
    async on(reason, leaseMs) {
      for (let isTold = false; ; isTold = true) {
        try {
          await admin.ask(beginReadOnly, { body: { reason, token, leaseMs } });
          return;
        } catch (error) {
          // An earlier try that has died has it end by itself.
          const { until } = await admin.ask(readOnlyStatus);
          if (!(error instanceof RefusedError) || until === undefined) throw error;
          if (!isTold) tell.phase('Waiting for an earlier try, which has changes refused, to end within a minute:');
          await Bun.sleep(waitMs);
        }
      }
    },
    async renew(leaseMs) {
      await admin.ask(renewTheReadOnly, { body: { token, leaseMs } });
    },
    async stay(reason, movedTo) {
      await admin.ask(beginReadOnly, {
        body: { reason, token, isHeld: true, ...(movedTo !== undefined && { movedTo }) },
      });
    },
    async off() {
      await admin.ask(endReadOnly, { body: { token } });
    },
  };
}

/** How often it is said in lines how far it has come, where nobody sits at a terminal, in ms. */
const lineEveryMs = 10_000;

function tellerOf(progress: ProgressLine): Teller {
  let toldAt = performance.now();
  return {
    phase(text) {
      progress.clear();
      console.error(printableLines(text));
    },
    show(come) {
      progress.show(come);
      if (process.stderr.isTTY || performance.now() - toldAt < lineEveryMs) return;
      toldAt = performance.now();
      const { name, done, total } = come;
      console.error(
        `  ${done.toLocaleString('en')}${total === undefined ? '' : ` of ${total.toLocaleString('en')}`} ${name}`,
      );
    },
  };
}

interface Configs {
  readonly from: Config;
  readonly to: Config;
  /** Of which the new place has its other settings. */
  readonly toConfigFile: string | undefined;
}

async function configsOf(flags: MigrateFlags): Promise<Configs | undefined> {
  const fromFile = flags.fromConfig ?? flags.config;
  const from = await loaded(
    'the registry',
    fromFile,
    flags.data === undefined ? {} : { data: flags.data },
    process.env,
  );
  const named = { data: flags.toData, metadata: flags.toMetadata, blobs: flags.toBlobs };
  const given = Object.fromEntries(
    Object.entries(named).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
  // What the environment says of places is of the old one, where a file says what the new one is.
  const isInFile = flags.toConfig !== undefined;
  const values = isInFile || flags.data === undefined ? given : { data: flags.data, ...given };
  const toFile = flags.toConfig ?? fromFile;
  const to = await loaded('the new place', toFile, values, isInFile ? withoutPlaces(process.env) : process.env);
  if (from === undefined || to === undefined) return undefined;
  return { from, to, toConfigFile: toFile };
}

function withoutPlaces(environment: Environment): Environment {
  const places = new Set([...['data', 'metadata', 'blobs'].map(variableOf), configFileVariable]);
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !places.has(name)));
}

async function loaded(
  name: string,
  configFile: string | undefined,
  values: Readonly<Record<string, string>>,
  env: Environment,
): Promise<Config | undefined> {
  const result = await loadConfig({
    configFile,
    flags: new Map(Object.entries(values)),
    env,
    readFile: (path) => readFile(path, 'utf8'),
  });
  if (result.ok) return result.config;
  console.error([`the configuration of ${name} makes no sense:`, ...result.problems].join('\n  '));
  return undefined;
}

/** In words; undefined for a bug. */
function reasonOf(error: unknown, ...configs: readonly Config[]): string | undefined {
  const expected = [StopMoveError, HoldLostError, CopyDiffersError, StartupError, RefusedError];
  if (expected.some((kind) => error instanceof kind)) return error instanceof Error ? error.message : undefined;
  for (const { metadata } of configs) {
    const text = metadata.kind === 'postgres' ? openFailureText(error, metadata.url) : undefined;
    if (text !== undefined) return text;
  }
  return error instanceof Error && ('code' in error || error.name.startsWith('BlobStore')) ? error.message : undefined;
}

function countOf(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > 64)
    throw new InvalidArgumentError('it takes a number from 1 to 64');
  return count;
}

function rateOf(text: string): number {
  const parsed = parseByteSize(text);
  if (!parsed.ok) throw new InvalidArgumentError(parsed.problem);
  if (parsed.sizeBytes === 0) throw new InvalidArgumentError('nothing could be read');
  return parsed.sizeBytes;
}
