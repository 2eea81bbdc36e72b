import { resolve } from 'node:path';
import { UnusableDatabaseError } from '../backup/database-file.ts';
import { NoSnapshotError, takeSnapshot } from '../backup/snapshot.ts';
import { printableLines } from '../oci/quote.ts';
import type { CommandDefinition } from './command-definition.ts';
import { exitCodes } from './exit-codes.ts';
import { type ConfigFlags, givenConfig, takesConfig } from './given-config.ts';
import { bytesText } from './table.ts';

interface BackupFlags extends ConfigFlags {
  readonly to: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** `wherry backup`: a consistent copy of the database, also while the registry runs. */
export const defineBackup: CommandDefinition = (command, end) => {
  takesConfig(command)
    .requiredOption('--to <file>', 'the file to be made')
    .option('--force', 'replace the file if it is there')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nIt copies the database, and after it the blobs are to be copied: docs/backup.md says how.')
    .action(async (flags: BackupFlags) => end(await backUp(flags)));
};

async function backUp(flags: BackupFlags): Promise<number> {
  const config = await givenConfig(flags);
  if (config === undefined) return exitCodes.usage;
  if (config.metadata.kind === 'postgres') {
    console.error(
      'wherry: the metadata of this registry is in PostgreSQL, which has a program of its own for that, also while the registry runs: ' +
        'pg_dump --format=custom --file=FILE DATABASE (docs/backup.md has the commands, and those to restore it)',
    );
    return exitCodes.failure;
  }
  const startedAt = performance.now();
  try {
    const request = { dataDirectory: resolve(config.data), to: flags.to, isReplacing: flags.force === true };
    const { path, sizeBytes, contents } = takeSnapshot(request);
    const tookMs = Math.round(performance.now() - startedAt);
    const { repositories, manifests, tags, blobs } = contents;
    console.log(
      flags.json === true
        ? JSON.stringify({ path, sizeBytes, tookMs, ...contents })
        : `${printableLines(path)}: ${bytesText(sizeBytes)}, ${repositories} repositories, ${manifests} manifests, ${tags} tags, ` +
            `${blobs} blobs known, in ${(tookMs / 1000).toFixed(1)} s`,
    );
    return exitCodes.success;
  } catch (error) {
    const reason = reasonOf(error);
    if (reason === undefined) throw error;
    console.error(printableLines(`wherry: no backup was made: ${reason}`));
    return exitCodes.failure;
  }
}

/** In words; undefined for a bug. */
function reasonOf(error: unknown): string | undefined {
  if (error instanceof NoSnapshotError) return error.message;
  if (error instanceof UnusableDatabaseError) return `the copy is not whole, ${error.message}`;
  return error instanceof Error && 'code' in error ? error.message : undefined;
}
