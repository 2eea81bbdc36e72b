import { accessSync, closeSync, constants, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { DirectoryCalls } from './blobs/directory/calls.ts';
import { DirectoryBlobStore } from './blobs/directory/store.ts';
import type { BucketCalls } from './blobs/s3/calls.ts';
import type { S3Settings } from './blobs/s3/settings.ts';
import { bucketOf, expectBlobsAt, rememberBlobsAt } from './blobs-place.ts';
import { type BlobStore, BlobStoreBusyError } from './blobs/store.ts';
import { closeToOthers } from './closed-to-others.ts';
import type { Config } from './config/schema.ts';
import type { HttpCalls } from './http/server.ts';
import type { Log } from './log/log.ts';
import type { PostgresCalls } from './metadata/postgres/calls.ts';
import { joinDirectory, lockDirectory } from './metadata/sqlite/directory-lock.ts';
import type { DatabaseCalls } from './metadata/sqlite/calls.ts';
import { NewerSchemaError } from './metadata/migrations/newer-schema.ts';
import { Reserve } from './metadata/sqlite/reserve.ts';
import { SqliteMetadataStore } from './metadata/sqlite/store.ts';
import { MetadataFullError, type MetadataStore } from './metadata/store.ts';
import { type Clock, systemClock } from './registry/clock.ts';
import { randomIds } from './registry/id-generator.ts';
import { PolicyPullRules } from './pruning/pull-rules.ts';
import { everyGet } from './registry/puller.ts';
import { type Immutability, noImmutability } from './registry/immutability.ts';
import { PullRecorder } from './registry/pull-recorder.ts';
import { Processes } from './registry/processes.ts';
import { PurgeFinisher } from './registry/purge-finisher.ts';
import { RecentManifests } from './registry/recent-manifests.ts';
import { Reclaimer } from './registry/reclaimer.ts';
import { noQuotas, type Quotas } from './registry/quotas.ts';
import type { Registry, Traffic } from './registry/registry.ts';
import { noRetention, type RetentionScope } from './registry/retention-review.ts';
import { noSiblings, type Siblings } from './registry/siblings.ts';
import { Responses } from './registry/responses.ts';
import { type Room, unboundedRoom } from './registry/room.ts';
import { StoreGeneration } from './registry/store-generation.ts';
import { hearOfWriters } from './registry/upload-writers.ts';
import { UploadSessions } from './registry/upload-sessions.ts';
import type { PolicySet } from './retention/policy-set.ts';
import { StartupError } from './startup-error.ts';
import { codeOf, startupFailure } from './startup-failures.ts';
import { isKeeper, type WorkerPlace } from './worker-place.ts';

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

/** How things become visible and durable, where it is not by the system's calls alone. */
export interface Syncs {
  readonly database: Partial<DatabaseCalls>;
  readonly blobs: Partial<DirectoryCalls>;
  /** The same where metadata is in PostgreSQL, and blobs in a bucket. */
  readonly postgres?: Partial<PostgresCalls>;
  readonly bucket?: Partial<BucketCalls>;
  /** So long may the database's log get before it is moved into the database file, in pages of 4 KiB. */
  readonly longLogPages?: number;
  readonly answer?: HttpCalls['answer'];
}

/** Another process has the data directory. */
export class DirectoryInUseError extends StartupError {}

interface OpenOptions {
  readonly clock?: Clock;
  readonly syncs?: Syncs | undefined;
  /** Where this is one of several processes that use them. */
  readonly worker?: WorkerPlace | undefined;
}

/** What of the configuration says where the stores are. */
export type StoresConfig = Pick<Config, 'data' | 'metadata'> & Partial<Pick<Config, 'blobs' | 's3' | 'postgres'>>;

/**
 * Opens or creates a data directory's stores.
 * @throws StartupError where the operator has to mend something first
 */
export async function openStores(
  { data, metadata: place, postgres, ...blobsConfig }: StoresConfig,
  log: Log,
  { clock = systemClock, syncs, worker }: OpenOptions = {},
): Promise<Stores> {
  const directory = resolve(data);
  prepareDirectory(directory);
  const openBlobs = () => blobsOf(directory, blobsConfig, { log, syncs });
  if (place.kind === 'postgres') {
    return await openShared(directory, place.url, { postgres, log, clock, openBlobs, syncs, worker });
  }
  // A worker has its part of it already.
  const lock = worker === undefined ? takeDirectory(directory) : undefined;
  try {
    const reserve = reserveIn(directory, log);
    const metadata = openMetadata(directory, { reserve, log, syncs, worker });
    worker?.link.hear('broken', async (reason) => metadata.breakOff(String(reason)));
    closeToOthers(join(directory, 'wherry.db'));
    const blobs = await openBlobs();
    const generation = await StoreGeneration.open({ metadata, blobs, clock, siblings: worker?.link });
    return {
      directory,
      metadata,
      blobs,
      reserve,
      generation,
      async close() {
        await reserve.stop();
        await metadata.close();
        lock?.[Symbol.dispose]();
      },
    };
  } catch (error) {
    lock?.[Symbol.dispose]();
    throw error;
  }
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
    readonly openBlobs: () => Promise<BlobStore>;
    readonly syncs: Syncs | undefined;
  },
): Promise<Stores> {
  // What nobody needs who has SQLite is not loaded.
  const { PostgresMetadataStore } = await import('./metadata/postgres/store.ts');
  const { openFailureText } = await import('./metadata/postgres/open-failure.ts');
  const opening = PostgresMetadataStore.open(url, {
    ...postgres,
    onConnectionLost: (error) => log.warn({ err: error }, 'a connection to the database was lost'),
    calls: syncs?.postgres,
  });
  const metadata = await opening.catch((error: unknown) => {
    const message = error instanceof NewerSchemaError ? error.message : openFailureText(error, url);
    throw message === undefined ? error : new StartupError(message, { cause: error });
  });
  try {
    const blobs = await openBlobs();
    const generation = await StoreGeneration.open({ metadata, blobs, clock, siblings: worker?.link });
    return { directory, metadata, blobs, reserve: undefined, generation, close: () => metadata.close() };
  } catch (error) {
    await metadata.close();
    throw error;
  }
}

export interface RegistryParts {
  readonly stores: Stores;
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly traffic: Traffic;
  /** Other processes that serve the same registry; none where it is not given. */
  readonly siblings?: Siblings | undefined;
  /** What has to be told of changes; undefined where nothing is pruned by itself. */
  readonly retention?: RetentionScope | undefined;
  /** By which it is decided whose pulls count; undefined where everybody's do. */
  readonly policies?: PolicySet | undefined;
  readonly quotas?: Quotas | undefined;
  readonly immutability?: Immutability | undefined;
  /** Unbounded where it is not given: nothing is uploaded. */
  readonly room?: Room;
}

/** Puts a registry together from its parts. */
export function registryOf({
  stores,
  config,
  clock,
  log,
  traffic,
  siblings = noSiblings,
  policies,
  quotas = noQuotas,
  immutability = noImmutability,
  retention = noRetention,
  room = unboundedRoom,
}: RegistryParts): Registry {
  const { metadata, blobs, generation } = stores;
  const responses = new Responses();
  const sessions = new UploadSessions();
  hearOfWriters(siblings, sessions);
  const pulls = new PullRecorder({
    metadata,
    clock,
    log,
    retention,
    keepsHistory: config.pulls.historyMs > 0,
    siblings,
  });
  return {
    metadata,
    blobs,
    clock,
    ids: randomIds,
    windows: { ...config.windows, historyMs: config.pulls.historyMs },
    sparse: config.manifests.sparse,
    quotas,
    immutability,
    log,
    traffic,
    room,
    sessions,
    recentManifests: new RecentManifests(metadata),
    pulls,
    pullRules: policies === undefined ? everyGet : new PolicyPullRules(policies),
    reclaimer: new Reclaimer({ metadata, blobs, clock, log, generation }),
    responses,
    siblings,
    purges: new PurgeFinisher({
      metadata,
      blobs,
      clock,
      log,
      generation,
      responses,
      siblings,
      pulls,
      immutability,
      processes: new Processes({ metadata, log, siblings }),
    }),
    retention,
  };
}

function openMetadata(
  directory: string,
  {
    reserve,
    log,
    syncs,
    worker,
  }: Pick<OpenOptions, 'worker'> & { readonly reserve: Reserve; readonly log: Log; readonly syncs: Syncs | undefined },
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

function reserveIn(directory: string, log: Log): Reserve {
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

/**
 * Opens or creates the blob store of a configuration, and nothing else.
 * @throws StartupError where the operator has to mend something first
 */
export async function openBlobsOf({ data, blobs, s3 }: StoresConfig, log: Log): Promise<BlobStore> {
  const directory = resolve(data);
  prepareDirectory(directory);
  return await blobsOf(directory, { ...(blobs && { blobs }), ...(s3 && { s3 }) }, { log, syncs: undefined });
}

/** Blobs lie in the data directory where nothing else is said. */
async function blobsOf(
  directory: string,
  { blobs: place = { kind: 'directory' }, s3 }: Pick<StoresConfig, 'blobs' | 's3'>,
  { log, syncs }: { readonly log: Log; readonly syncs: Syncs | undefined },
): Promise<BlobStore> {
  expectBlobsAt(directory, place);
  const settings = s3 && bucketOf({ blobs: place, s3 });
  if (settings !== undefined) {
    const blobs = await openBucket(settings, log, syncs?.bucket);
    rememberBlobsAt(directory, place);
    return blobs;
  }
  return await openDirectory(directory, syncs?.blobs);
}

/** Its client is loaded by those only who need it: it takes longer than all the rest. */
async function openBucket(settings: S3Settings, log: Log, calls: Partial<BucketCalls> | undefined): Promise<BlobStore> {
  const { bucket, prefix } = settings;
  const { S3BlobStore } = await import('./blobs/s3/store.ts');
  let blobs;
  try {
    blobs = await S3BlobStore.open(settings, { calls });
  } catch (error) {
    if (!(error instanceof BlobStoreBusyError)) throw error;
    throw new StartupError(
      `cannot keep blobs in s3://${bucket}/${prefix} (${error.message}): see that the bucket is there, that s3.endpoint and ` +
        's3.region are right, and that the credentials (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or those of this machine) ' +
        'may read, write, list and remove objects there',
      { cause: error },
    );
  }
  const { traits, knowsConditions } = blobs;
  if (traits === undefined) {
    log.warn(
      { bucket },
      'the bucket does not tell whether it keeps older versions: if it does, removed blobs take room there',
    );
  }
  if (traits?.isVersioned === true) {
    log.info(
      { bucket },
      'the bucket keeps older versions of objects: what is removed is removed with all its versions',
    );
  }
  if (traits?.isLocked === true) {
    log.warn({ bucket }, 'the bucket locks objects: what is removed or purged stays there until its lock ends');
  }
  if (!knowsConditions) {
    log.warn(
      { bucket },
      'the S3 server puts objects whatever is there already (If-None-Match): small blobs are written twice',
    );
  }
  return blobs;
}

async function openDirectory(
  directory: string,
  syncs: Partial<DirectoryCalls> | undefined,
): Promise<DirectoryBlobStore> {
  try {
    return await DirectoryBlobStore.open(directory, syncs);
  } catch (error) {
    throw startupFailure(error, {
      name: `the blobs in ${join(directory, 'objects')}`,
      ifDamaged: 'put a backup in its place',
    });
  }
}

/**
 * Makes a data directory where there is none, and takes it for this process and its workers, before anything is opened.
 * @throws StartupError where the operator has to mend something first
 */
export function takeDataDirectory(data: string): Disposable {
  const directory = resolve(data);
  prepareDirectory(directory);
  return takeDirectory(directory);
}

/**
 * Takes a worker's part of it, until the end of the process.
 * @throws StartupError where another wherry is about to take it
 */
export function joinDataDirectory(data: string): Disposable {
  const directory = resolve(data);
  const joined = joinDirectory(directory);
  if (joined === undefined) throw inUse(directory, undefined);
  return joined;
}

function inUse(directory: string, holder: string | undefined): DirectoryInUseError {
  const named = holder === undefined ? '' : ` (process ${holder})`;
  return new DirectoryInUseError(
    `another wherry${named} is using the data directory ${directory}: stop it, or give this one a directory of its own with --data`,
  );
}

function takeDirectory(directory: string): Disposable {
  try {
    const locking = lockDirectory(directory);
    if (!locking.locked) throw inUse(directory, locking.holder);
    return locking.lock;
  } catch (error) {
    throw startupFailure(error, {
      name: `the lock ${join(directory, 'lock.db')}`,
      ifDamaged: 'it is damaged, and holds nothing but the lock: remove it while no wherry uses the directory',
    });
  }
}

function prepareDirectory(directory: string): void {
  try {
    const topmost = mkdirSync(directory, { recursive: true, mode: 0o750 });
    if (topmost !== undefined) syncParents(directory, topmost);
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const code = codeOf(error) ?? 'unknown error';
    const problem =
      code === 'EEXIST' || code === 'ENOTDIR'
        ? `the data directory ${directory} is not a directory, or lies in something that is none (${code}): choose another with --data`
        : `cannot use the data directory ${directory} (${code}): choose another with --data, or give this user the right to write there`;
    throw new StartupError(problem, { cause: error });
  }
}

/** Directories just made are only found again after a power cut once those that hold them are synced. */
function syncParents(directory: string, topmost: string): void {
  for (let made = directory; made.length >= topmost.length; made = dirname(made)) {
    const descriptor = openSync(dirname(made), 'r');
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }
}
