import { join } from 'node:path';
import type { Log } from '../log/log.ts';
import { NewerSchemaError } from '../metadata/migrations/newer-schema.ts';
import { Reserve } from '../metadata/sqlite/reserve.ts';
import { SqliteMetadataStore } from '../metadata/sqlite/store.ts';
import type { PostgresMetadataStore } from '../metadata/postgres/store.ts';
import { MetadataFullError } from '../metadata/store.ts';
import { StartupError } from '../startup-error.ts';
import { startupFailure } from '../startup-failures.ts';
import { isKeeper, type WorkerPlace } from '../workers/worker-place.ts';
import type { Syncs } from './syncs.ts';
import type { StoresConfig } from './stores-config.ts';

interface OpeningParts {
  readonly log: Log;
  readonly syncs: Syncs | undefined;
  readonly worker: WorkerPlace | undefined;
}

/**
 * Opens a database that other processes may be using too.
 * @throws StartupError where the operator has to mend something first
 */
export async function openPostgres(
  url: string,
  { postgres, log, syncs }: Omit<OpeningParts, 'worker'> & { readonly postgres: StoresConfig['postgres'] },
): Promise<PostgresMetadataStore> {
  // What nobody needs who has SQLite is not loaded.
  const { PostgresMetadataStore: Store } = await import('../metadata/postgres/store.ts');
  const { openFailureText } = await import('../metadata/postgres/open-failure.ts');
  const opening = Store.open(url, {
    ...postgres,
    onConnectionLost: (error) => log.warn({ err: error }, 'a connection to the database was lost'),
    calls: syncs?.postgres,
  });
  return await opening.catch((error: unknown) => {
    const message = error instanceof NewerSchemaError ? error.message : openFailureText(error, url);
    throw message === undefined ? error : new StartupError(message, { cause: error });
  });
}

/**
 * Opens or creates the database of a data directory.
 * @throws StartupError where the operator has to mend something first
 */
export function openSqlite(
  directory: string,
  { reserve, log, syncs, worker }: OpeningParts & { readonly reserve: Reserve },
): SqliteMetadataStore {
  try {
    return SqliteMetadataStore.open(directory, {
      reserve,
      ...(worker !== undefined && {
        shared: { isKeeper: isKeeper(worker), onBroken: (reason: string) => worker.link.tell('broken', reason) },
      }),
      onCheckpointProblem(error) {
        log.warn({ err: error, directory }, "the database's log could not be moved into the database; trying again");
      },
      ...(syncs === undefined ? {} : { calls: syncs.database }),
      ...(syncs?.longLogPages === undefined ? {} : { longLogPages: syncs.longLogPages }),
    });
  } catch (error) {
    if (error instanceof NewerSchemaError) throw new StartupError(error.message, { cause: error });
    if (error instanceof MetadataFullError && worker !== undefined) {
      throw new StartupError(
        'the disk is full, and several processes cannot open the database then: make room, or start with --workers 1',
        { cause: error },
      );
    }
    throw startupFailure(error, {
      name: `the database ${join(directory, 'wherry.db')}`,
      ifDamaged: 'it is damaged or not a database, put a backup of the data directory in its place',
    });
  }
}

/** Room in a data directory that is kept for when its disk is full. */
export function reserveIn(directory: string, log: Log): Reserve {
  return new Reserve(directory, {
    onReleased: () => {
      log.warn(
        { directory },
        'the disk is full: the room kept in reserve is used now, so that deletes go on; make room',
      );
    },
    onProblem: (error) => log.warn({ err: error, directory }, 'no room could be kept in reserve for a full disk'),
  });
}
