import { accessSync, closeSync, constants, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { DirectoryCalls } from './blobs/directory/calls.ts';
import { DirectoryBlobStore } from './blobs/directory/store.ts';
import { formatListenAddress } from './config/listen-address.ts';
import { Collector } from './collector/collector.ts';
import { type DiskSpace, ShortDisk } from './collector/short-disk.ts';
import type { Config } from './config/schema.ts';
import { type HttpCalls, startHttpServer } from './http/server.ts';
import type { Log } from './log/log.ts';
import { type DirectoryLockResult, lockDirectory } from './metadata/sqlite/directory-lock.ts';
import type { DatabaseCalls, SyncFile } from './metadata/sqlite/calls.ts';
import { NewerSchemaError } from './metadata/sqlite/migrate.ts';
import { Reserve } from './metadata/sqlite/reserve.ts';
import { SqliteMetadataStore } from './metadata/sqlite/store.ts';
import { Metrics } from './metrics/metrics.ts';
import { type Clock, systemClock } from './registry/clock.ts';
import { randomIds } from './registry/id-generator.ts';
import { PullRecorder } from './registry/pull-recorder.ts';
import { RecentManifests } from './registry/recent-manifests.ts';
import { Reclaimer } from './registry/reclaimer.ts';
import type { Registry } from './registry/registry.ts';
import { StoreFigures } from './registry/store-figures.ts';
import { StoreGeneration } from './registry/store-generation.ts';
import { UploadSessions } from './registry/upload-sessions.ts';
import { StartupError } from './startup-error.ts';
import { checkListenHost, codeOf, startupFailure } from './startup-failures.ts';

export interface RunningServer {
  /** Where it listens. */
  readonly url: string;
  readonly collector: Collector;
  /** Drains, writes what is still in memory, and closes the stores. */
  stop(): Promise<void>;
}

export interface ServerParts {
  readonly config: Config;
  readonly log: Log;
  readonly clock?: Clock;
  /** How things become visible and durable, where it is not by the system's calls alone. */
  readonly syncs?: Syncs;
}

export interface Syncs {
  readonly log: SyncFile;
  readonly blobs: Partial<DirectoryCalls>;
  readonly commit?: DatabaseCalls['commit'];
  readonly answer?: HttpCalls['answer'];
}

/**
 * Puts a registry together from its parts and serves it.
 * @throws StartupError where the operator has to mend something first
 */
export async function startServer({ config, log, clock = systemClock, syncs }: ServerParts): Promise<RunningServer> {
  const directory = resolve(config.data);
  await checkListenHost(config.listen.host);
  prepareDirectory(directory);
  const locking = takeDirectory(directory);
  if (!locking.locked) {
    const holder = locking.holder === undefined ? '' : ` (process ${locking.holder})`;
    throw new StartupError(
      `another wherry${holder} is using the data directory ${directory}: stop it, or give this one a directory of its own with --data`,
    );
  }
  try {
    return await serve(directory, { config, log, clock }, syncs, locking.lock);
  } catch (error) {
    locking.lock[Symbol.dispose]();
    throw error;
  }
}

async function serve(
  directory: string,
  { config, log, clock }: Required<Omit<ServerParts, 'syncs'>>,
  syncs: Syncs | undefined,
  lock: Disposable,
): Promise<RunningServer> {
  const reserve = reserveIn(directory, log);
  const metadata = openMetadata(directory, reserve, syncs);
  const blobs = await openBlobs(directory, syncs?.blobs);
  const generation = await StoreGeneration.open({ metadata, blobs, clock });
  const figures = new StoreFigures({ metadata, clock });
  const metrics = new Metrics(async () => {
    const { freeBytes, totalBytes } = await diskSpace(directory);
    return {
      ...(await figures.measure()),
      databaseBytes: fileBytes(join(directory, 'wherry.db')) + fileBytes(join(directory, 'wherry.db-wal')),
      diskFreeBytes: freeBytes,
      diskTotalBytes: totalBytes,
      databaseOutdated: generation.isDatabaseOutdated ? 1 : 0,
    };
  });
  const registry: Registry = {
    metadata,
    blobs,
    clock,
    ids: randomIds,
    windows: config.windows,
    sparse: config.manifests.sparse,
    log,
    traffic: metrics,
    sessions: new UploadSessions(),
    recentManifests: new RecentManifests(metadata),
    pulls: new PullRecorder({ metadata, clock, log }),
    reclaimer: new Reclaimer({ metadata, blobs, log, generation }),
  };
  const disk = new ShortDisk(() => diskSpace(directory));
  const pace = {
    batch: config.collector.batch,
    get perSecond() {
      return disk.isShort ? Infinity : config.collector.perSecond;
    },
  };
  const collector = new Collector({ registry, pace, counts: metrics, log, keepEventsMs: config.events.keepMs });
  metadata.watch(() => collector.notice());
  const server = listen(config, registry, metrics, log, syncs?.answer);
  registry.pulls.start(config.pulls.flushMs);
  reserve.start();
  disk.start();
  collector.start();
  if (generation.isDatabaseOutdated) {
    collector.pause();
    log.error(
      { directory },
      'the database is older than the blobs beside it: nothing is collected until wherry fsck --repair has settled it',
    );
  } else {
    void registry.reclaimer.resume().catch((error: unknown) => {
      log.error({ err: error }, 'dead objects of an earlier run could not be looked up');
    });
  }
  return {
    url: server.url.origin,
    collector,
    async stop() {
      disk.stop();
      const collected = collector.stop();
      await server.stop(config.http.drainMs);
      await collected;
      await registry.pulls.stop();
      await registry.reclaimer.idle();
      await reserve.stop();
      await metadata.close();
      lock[Symbol.dispose]();
    },
  };
}

function listen(
  config: Config,
  registry: Registry,
  metrics: Metrics,
  log: Log,
  answer: HttpCalls['answer'] | undefined,
) {
  const { host, port } = config.listen;
  try {
    return startHttpServer({
      registry,
      metrics,
      log,
      hostname: host,
      port,
      settings: { maxManifestBytes: config.manifests.maxSizeBytes, location: config.http.location },
      trustedProxies: config.http.trustedProxies,
      idleTimeoutMs: config.http.idleTimeoutMs,
      logRequests: config.log.requests,
      ...(answer === undefined ? {} : { calls: { answer } }),
    });
  } catch (error) {
    if (codeOf(error) === 'EADDRINUSE') {
      throw new StartupError(`port ${port} of ${host} is in use: choose another one with --listen HOST:PORT`, {
        cause: error,
      });
    }
    const code = codeOf(error);
    if (code === undefined) throw error;
    const reason =
      code === 'EADDRNOTAVAIL' ? 'which is not an address of this machine' : `which the system refuses (${code})`;
    throw new StartupError(
      `cannot listen on ${formatListenAddress(config.listen)}, ${reason}: choose another with --listen HOST:PORT`,
      { cause: error },
    );
  }
}

function openMetadata(directory: string, reserve: Reserve, syncs: Syncs | undefined): SqliteMetadataStore {
  try {
    return SqliteMetadataStore.open(directory, {
      reserve,
      ...(syncs === undefined ? {} : { syncLog: syncs.log }),
      ...(syncs?.commit === undefined ? {} : { commit: syncs.commit }),
    });
  } catch (error) {
    if (error instanceof NewerSchemaError) throw new StartupError(error.message, { cause: error });
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

async function openBlobs(directory: string, syncs: Partial<DirectoryCalls> | undefined): Promise<DirectoryBlobStore> {
  try {
    return await DirectoryBlobStore.open(directory, syncs);
  } catch (error) {
    throw startupFailure(error, {
      name: `the blobs in ${join(directory, 'objects')}`,
      ifDamaged: 'put a backup in its place',
    });
  }
}

function takeDirectory(directory: string): DirectoryLockResult {
  try {
    return lockDirectory(directory);
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

function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

async function diskSpace(directory: string): Promise<DiskSpace> {
  const disk = await statfs(directory);
  return { freeBytes: disk.bavail * disk.bsize, totalBytes: disk.blocks * disk.bsize };
}
