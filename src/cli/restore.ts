import { resolve } from 'node:path';
import { NotRestoredError, restore } from '../backup/restore.ts';
import type { Config } from '../config/schema.ts';
import { createLog } from '../log/log.ts';
import { printableLines } from '../oci/quote.ts';
import { requestActor } from '../registry/actor.ts';
import { type AdaptedDatabase, adaptRestored, markBlobsNewer } from '../registry/after-restore.ts';
import { BlobsElsewhereError } from '../registry/registry-identity.ts';
import { StartupError } from '../startup-error.ts';
import { blobsText, elsewhereText } from '../stores/expect-one.ts';
import { openBlobsOf } from '../stores/open-blobs.ts';
import { openStores } from '../stores/stores.ts';
import { userAgent } from './admin-client.ts';
import type { CommandDefinition } from './command-definition.ts';
import { exitCodes } from './exit-codes.ts';
import { configBy } from './given-config.ts';
import { addSettingFlags, type ConfigFlags, saysWhere } from './setting-flags.ts';
import { timeText } from './table.ts';

interface RestoreFlags {
  readonly from?: string;
  readonly inPlace?: boolean;
}

/** `wherry restore`: puts an older copy of the database in place, beside the blobs as they are. */
export const defineRestore: CommandDefinition = (command, end) => {
  const readFlags = addSettingFlags(command, saysWhere);
  command
    .option('--from <file>', 'what wherry backup has made')
    .option(
      '--in-place',
      'the database has been put in place by other means, such as pg_restore: mark it as older than the blobs',
    )
    .addHelpText(
      'after',
      '\nWhile no registry runs. Afterwards, wherry fsck --repair adopts what the database does not know: docs/backup.md.',
    )
    .action(async (flags: RestoreFlags) => end(await restoreTo(flags, readFlags())));
};

async function restoreTo(flags: RestoreFlags, settings: ConfigFlags): Promise<number> {
  const config = await configBy(settings);
  if (config === undefined) return exitCodes.usage;
  if ((flags.from === undefined) === (flags.inPlace !== true)) {
    console.error('wherry: say either --from FILE, or --in-place where the database has been restored by other means');
    return exitCodes.usage;
  }
  if (flags.from !== undefined && config.metadata.kind === 'postgres') {
    console.error(
      'wherry: the metadata of this registry is in PostgreSQL: restore it with pg_restore, then run wherry restore --in-place (docs/backup.md has the commands)',
    );
    return exitCodes.failure;
  }
  try {
    if (flags.from === undefined) await adaptInPlace(config);
    else await putInPlace(config, flags.from);
  } catch (error) {
    if (error instanceof BlobsElsewhereError) {
      console.error(printableLines(`wherry: nothing was restored: ${elsewhereText(error, blobsText(config))}`));
      return exitCodes.failure;
    }
    const isExpected = error instanceof NotRestoredError || error instanceof StartupError;
    if (!isExpected && !(error instanceof Error && 'code' in error)) throw error;
    console.error(printableLines(`wherry: nothing was restored: ${error.message}`));
    return exitCodes.failure;
  }
  console.log(
    'The blobs are marked as newer: nothing is removed until wherry fsck --repair has adopted what the database does not know.\n' +
      'Run that next, with the same --config or flags, and start the registry then.',
  );
  return exitCodes.success;
}

async function putInPlace(config: Config, from: string): Promise<void> {
  const dataDirectory = resolve(config.data);
  const { contents, copiedAt, asidePath, adapted } = await restore({
    dataDirectory,
    from,
    openBlobs: async () =>
      await openBlobsOf(config, await createLog({ level: 'error', format: 'auto', stream: process.stderr })),
    actor: restorer(),
    now: Date.now(),
  });
  const { repositories, manifests, tags, blobs } = contents;
  console.log(
    printableLines(
      `Put in place in ${dataDirectory}: the database of ${timeText(new Date(copiedAt).toISOString())} (UTC), with ${repositories} repositories, ` +
        `${manifests} manifests, ${tags} tags and ${blobs} blobs known.`,
    ),
  );
  tell(adapted);
  if (asidePath !== undefined) console.log(printableLines(`The database that was there is kept as ${asidePath}.`));
}

/** @throws StartupError where a registry would go on with what it knows of the database that was there before */
async function expectNobodyServes({ metadata }: Config): Promise<void> {
  if (metadata.kind !== 'postgres') return;
  const { connectedProcesses } = await import('../metadata/postgres/connected-processes.ts');
  const { openFailureText } = await import('../metadata/postgres/open-failure.ts');
  const connected = await connectedProcesses(metadata.url).catch((error: unknown) => {
    const message = openFailureText(error, metadata.url);
    throw message === undefined ? error : new StartupError(message, { cause: error });
  });
  if (connected.length === 0) return;
  throw new StartupError(
    `processes of the registry are connected to the database, and would go on removing what it held before: stop all of them first (${connected.join(', ')})`,
  );
}

async function adaptInPlace(config: Config): Promise<void> {
  await expectNobodyServes(config);
  const log = await createLog({ level: 'error', format: 'auto', stream: process.stderr });
  const stores = await openStores(config, log, { isRestoring: true });
  try {
    await markBlobsNewer(stores.blobs, stores.metadata);
    const reason = 'a copy was put in place by other means';
    tell(await adaptRestored(stores.metadata, { actor: restorer(), now: stores.clock.now(), reason }));
  } finally {
    await stores.close();
  }
}

function tell({ endedUploads, readOnly }: AdaptedDatabase): void {
  if (endedUploads > 0) console.log(`${endedUploads} uploads that were under way then have ended.`);
  if (readOnly === undefined) return;
  const { reason, movedTo } = readOnly;
  const moved = movedTo === undefined ? '' : `; it had been moved to ${movedTo}, which may be newer`;
  const force = movedTo === undefined ? '' : ' --force';
  console.log(
    printableLines(
      `The registry was read-only when it was copied, and is again (${reason})${moved}. To have it changed again: wherry readonly off${force}`,
    ),
  );
}

function restorer() {
  return requestActor({ who: 'admin', identity: 'operator', address: undefined, userAgent, requestId: undefined });
}
