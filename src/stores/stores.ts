import { join, resolve } from 'node:path';
import type { BlobStore } from '../blobs/store.ts';
import type { Log } from '../log/log.ts';
import type { Reserve } from '../metadata/sqlite/reserve.ts';
import type { MetadataStore } from '../metadata/store.ts';
import { type Clock, systemClock } from '../registry/clock.ts';
import { StoreGeneration } from '../registry/store-generation.ts';
import type { WorkerPlace } from '../workers/worker-place.ts';
import { closeToOthers } from './closed-to-others.ts';
import { blobsText, expectOne } from './expect-one.ts';
import { prepareDirectory, takeDirectory } from './data-directory.ts';
import { blobsOf } from './open-blobs.ts';
import { openPostgres, openSqlite, reserveIn } from './open-database.ts';
import type { StoresConfig } from './stores-config.ts';
import type { Syncs } from './syncs.ts';

/** The two stores of a data directory, which no other process can use meanwhile. */
export interface Stores {
  readonly directory: string;
  readonly metadata: MetadataStore;
  readonly blobs: BlobStore;
  /** Room kept for when the disk is full; undefined where the database is on another. */
  readonly reserve: Reserve | undefined;
  /** What ties the one to the other. */
  readonly generation: StoreGeneration;
  /** Closes them and lets others have the directory. */
  close(): Promise<void>;
}

interface OpenOptions {
  readonly clock?: Clock;
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
  { data, metadata: place, postgres, ...blobsConfig }: StoresConfig,
  log: Log,
  { clock = systemClock, syncs, worker, isRestoring = false }: OpenOptions = {},
): Promise<Stores> {
  const directory = resolve(data);
  prepareDirectory(directory);
  const isInDirectory = place.kind === 'sqlite' && blobsConfig.blobs?.kind !== 's3';
  const openBlobs = async (metadata: MetadataStore) => {
    const blobs = await blobsOf(directory, blobsConfig, { log, syncs });
    if (!isInDirectory && !isRestoring) await expectOne({ metadata, blobs }, blobsText({ data, ...blobsConfig }), log);
    return blobs;
  };
  if (place.kind === 'postgres') {
    return await openShared(directory, place.url, { postgres, log, clock, openBlobs, syncs, worker });
  }
  await using opened = new AsyncDisposableStack();
  // A worker has its part of it already.
  if (worker === undefined) opened.use(takeDirectory(directory));
  const reserve = opened.adopt(reserveIn(directory, log), (room) => room.stop());
  const metadata = opened.adopt(openSqlite(directory, { reserve, log, syncs, worker }), (store) => store.close());
  worker?.link.hear('broken', async (reason) => metadata.breakOff(String(reason)));
  closeToOthers(join(directory, 'wherry.db'));
  const blobs = await openBlobs(metadata);
  const generation = await StoreGeneration.open({ metadata, blobs, clock, siblings: worker?.link });
  const closing = opened.move();
  return { directory, metadata, blobs, reserve, generation, close: () => closing.disposeAsync() };
}

/** Other processes may be using them too. */
async function openShared(
  directory: string,
  url: string,
  {
    postgres,
    log,
    clock,
    openBlobs,
    syncs,
    worker,
  }: Pick<OpenOptions, 'worker'> & {
    readonly postgres: StoresConfig['postgres'];
    readonly log: Log;
    readonly clock: Clock;
    readonly openBlobs: (metadata: MetadataStore) => Promise<BlobStore>;
    readonly syncs: Syncs | undefined;
  },
): Promise<Stores> {
  const metadata = await openPostgres(url, { postgres, log, syncs });
  try {
    const blobs = await openBlobs(metadata);
    const generation = await StoreGeneration.open({ metadata, blobs, clock, siblings: worker?.link });
    return { directory, metadata, blobs, reserve: undefined, generation, close: () => metadata.close() };
  } catch (error) {
    await metadata.close();
    throw error;
  }
}
