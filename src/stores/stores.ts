import { join, resolve } from 'node:path';
import type { BlobStore } from '../blobs/store.ts';
import type { Log } from '../log/log.ts';
import type { Reserve } from '../metadata/sqlite/reserve.ts';
import type { PostgresMetadataStore } from '../metadata/postgres/store.ts';
import { MetadataBusyError, type MetadataStore } from '../metadata/store.ts';
import { type Clock, systemClock } from '../registry/clock.ts';
import { StoreGeneration } from '../registry/store-generation.ts';
import { StartupError } from '../startup-error.ts';
import type { WorkerPlace } from '../workers/worker-place.ts';
import { rememberBlobsAt } from './blobs-place.ts';
import { closeToOthers } from './closed-to-others.ts';
import { blobsText, expectOne } from './expect-one.ts';
import { DatabaseClock } from './database-clock.ts';
import { prepareDirectory, takeDirectory } from './data-directory.ts';
import { blobsOf } from './open-blobs.ts';
import { openPostgres, openSqlite, reserveIn } from './open-database.ts';
import type { StoresConfig } from './stores-config.ts';
import type { Syncs } from './syncs.ts';

/** The database of a data directory, which no other process can use meanwhile where it lies there. */
export interface OpenedMetadata {
  readonly directory: string;
  readonly metadata: MetadataStore;
  /** The time that all who share the database go by. */
  readonly clock: Clock;
  /** Room kept for when the disk is full; undefined where the database is on another. */
  readonly reserve: Reserve | undefined;
  /** Closes all that was opened, and lets others have the directory. */
  close(): Promise<void>;
}

/** The two stores of a data directory. */
export interface Stores extends OpenedMetadata {
  readonly blobs: BlobStore;
  /** What ties the one to the other. */
  readonly generation: StoreGeneration;
}

interface OpenOptions {
  /** What to go by in place of the database's clock, or of the machine's. */
  readonly clock?: Clock | undefined;
  readonly syncs?: Syncs | undefined;
  /** Where this is one of several processes that use them. */
  readonly worker?: WorkerPlace | undefined;
  /** Whether the one may not know the other yet, as where it was put in place from a copy. */
  readonly isRestoring?: boolean;
}

/**
 * Opens or creates a data directory's stores.
 * @throws StartupError where the operator has to mend something first
 */
export async function openStores(
  config: StoresConfig,
  log: Log,
  { clock: given, syncs, worker, isRestoring = false }: OpenOptions = {},
): Promise<Stores> {
  const opened = await openMetadata(config, log, { clock: given, syncs, worker });
  const { directory, metadata, clock } = opened;
  const { data, metadata: place, postgres: _, ...blobsConfig } = config;
  try {
    const blobs = await blobsOf(directory, blobsConfig, { log, syncs });
    const isInDirectory = place.kind === 'sqlite' && blobsConfig.blobs?.kind !== 's3';
    if (!isInDirectory && !isRestoring) {
      await expectOne({ metadata, blobs }, blobsText({ data, ...blobsConfig }), log);
      // Only now is it known to be right.
      if (blobsConfig.blobs !== undefined) rememberBlobsAt(directory, blobsConfig.blobs);
    }
    const generation = await StoreGeneration.open({ metadata, blobs, clock, siblings: worker?.link });
    return { ...opened, blobs, generation };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/**
 * Opens or creates a data directory's database alone, for what has nothing to do with blobs.
 * @throws StartupError where the operator has to mend something first
 */
export async function openMetadata(
  { data, metadata: place, postgres }: StoresConfig,
  log: Log,
  { clock, syncs, worker }: Pick<OpenOptions, 'clock' | 'syncs' | 'worker'> = {},
): Promise<OpenedMetadata> {
  const directory = resolve(data);
  prepareDirectory(directory);
  if (place.kind === 'postgres') {
    await using opened = new AsyncDisposableStack();
    const metadata = opened.adopt(await openPostgres(place.url, { postgres, log, syncs }), (store) => store.close());
    const agreed = clock ?? opened.adopt(await databaseClock(metadata, log), (started) => started.stop());
    const closing = opened.move();
    return { directory, metadata, clock: agreed, reserve: undefined, close: () => closing.disposeAsync() };
  }
  await using opened = new AsyncDisposableStack();
  // A worker has its part of it already.
  if (worker === undefined) opened.use(takeDirectory(directory));
  const reserve = opened.adopt(reserveIn(directory, log), (room) => room.stop());
  const metadata = opened.adopt(openSqlite(directory, { reserve, log, syncs, worker }), (store) => store.close());
  worker?.link.hear('broken', async (reason) => metadata.breakOff(String(reason)));
  closeToOthers(join(directory, 'wherry.db'));
  const closing = opened.move();
  return { directory, metadata, clock: clock ?? systemClock, reserve, close: () => closing.disposeAsync() };
}

/** @throws StartupError where the database, which was there just now, does not answer any more */
async function databaseClock(metadata: PostgresMetadataStore, log: Log): Promise<DatabaseClock> {
  try {
    return await DatabaseClock.start({ own: systemClock, ask: () => metadata.time(), log });
  } catch (error) {
    if (error instanceof MetadataBusyError) throw new StartupError(error.message, { cause: error });
    throw error;
  }
}
