import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { InvalidArgumentError } from 'commander';
import { parseByteSize } from '../config/byte-size.ts';
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
import { movedText } from './moved-text.ts';
import { type MovedConfigs, movedConfigs } from './moved-configs.ts';
import { ProgressLine } from './progress-line.ts';
import { addSettingFlags, type ConfigFlags, saysWhere } from './setting-flags.ts';

interface MigrateFlags {
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
  const readFlags = addSettingFlags(command, saysWhere);
  command
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
    .action(async (flags: MigrateFlags) => end(await migrate(flags, readFlags())));
};

async function migrate(flags: MigrateFlags, source: ConfigFlags): Promise<number> {
  const configs = await configsOf(flags, source);
  if (configs === undefined) return exitCodes.usage;
  const { from, to } = configs;
  const progress = new ProgressLine();
  const startedAt = performance.now();
  try {
    const moved = await moveBetween(from, to, { flags, progress });
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
  readonly progress: ProgressLine;
}

async function moveBetween(from: Config, to: Config, { flags, progress }: Moving): Promise<Moved> {
  const log = await createLog({ level: 'error', format: 'auto', stream: process.stderr });
  const admin = await openAdmin(from);
  try {
    const blobs = await openBlobsOf(from, log);
    await using metadata = await openSource(from);
    // Nothing is made in a new place of what cannot be moved there.
    await using target = await openTarget(from, to);
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
        if (flags.fsck) tell.phase(await checkNewPlace(to, { leavesDamaged, tell }));
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

async function configsOf(flags: MigrateFlags, { configFile, values }: ConfigFlags): Promise<MovedConfigs | undefined> {
  const named = { data: flags.toData, metadata: flags.toMetadata, blobs: flags.toBlobs };
  const loaded = await movedConfigs({
    fromFile: flags.fromConfig ?? configFile,
    fromFlags: values,
    toFile: flags.toConfig,
    toFlags: new Map(Object.entries(named).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))),
    env: process.env,
    readFile: (path) => readFile(path, 'utf8'),
  });
  if (loaded.ok) return loaded;
  console.error([`the configuration of ${loaded.of} makes no sense:`, ...loaded.problems].join('\n  '));
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
