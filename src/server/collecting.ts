import type { Collector } from '../collector/collector.ts';
import type { Config } from '../config/schema.ts';
import type { CollectorControl } from '../http/admin/endpoint.ts';
import { collectorPause } from '../registry/collector-pause.ts';
import type { Registry } from '../registry/registry.ts';
import type { StoreGeneration } from '../registry/store-generation.ts';
import { StartupError } from '../startup-error.ts';

export interface CollectingParts {
  readonly registry: Registry;
  readonly collector: Collector;
  readonly generation: StoreGeneration;
  readonly directory: string;
  /** Whether this process collects; if not, others do. */
  readonly isRun: boolean;
}

/** @throws StartupError where no process would collect */
export function expectCollector({ metadata, collector }: Pick<Config, 'metadata' | 'collector'>): void {
  if (collector.isRun || metadata.kind !== 'sqlite') return;
  throw new StartupError(
    'collector.run is off, while the metadata lies in SQLite, which no other server uses: nothing would be collected, so leave it on',
  );
}

/** Starts a server's collector, unless it is paused or the database is older than the blobs. */
export async function beginCollecting(parts: CollectingParts): Promise<void> {
  const { registry, collector, generation, isRun } = parts;
  const { log } = registry;
  if (!isRun) {
    log.info({ 'collector.run': 'off' }, 'this process does not collect; others have to');
    return;
  }
  const paused = await collectorPause(registry);
  if (paused !== undefined) {
    log.warn({ reason: paused.reason }, 'the collector stays paused, until "wherry collector resume"');
    pause(collector, registry);
  }
  if (generation.isDatabaseOutdated) {
    pauseOutdated(parts);
  } else if (paused === undefined) {
    reclaimDead(registry);
  }
  collector.start();
}

/** Nothing is collected while the database is older than the blobs. */
export function pauseOutdated({ registry, collector, directory }: CollectingParts): void {
  collector.pause();
  registry.log.error(
    { directory },
    'the database is older than the blobs beside it: nothing is collected until wherry fsck --repair has settled it',
  );
}

/** The database has been accepted as it is. @returns whether an operator has not paused the collector beside that */
export async function collectAgain({ registry, collector, directory, isRun }: CollectingParts): Promise<boolean> {
  if ((await collectorPause(registry)) !== undefined) return false;
  registry.log.warn({ directory }, 'the database was accepted as it is, though it is older than the blobs');
  if (isRun) reclaimDead(registry);
  // Also where this process does not collect, as it holds what it prunes as well.
  collector.resume();
  return true;
}

/** Whether what is let go is taken away. */
export async function mayCollect({ registry, generation }: Pick<CollectingParts, 'registry' | 'generation'>) {
  return !generation.isDatabaseOutdated && (await collectorPause(registry)) === undefined;
}

/** The operator's switch. It does not start the collector while the database is outdated. */
export function controlOf({ collector, generation, registry, isRun }: CollectingParts): CollectorControl {
  return {
    isRun,
    get isPaused() {
      return collector.isPaused;
    },
    get isDatabaseOutdated() {
      return generation.isDatabaseOutdated;
    },
    pause: () => pause(collector, registry),
    resume() {
      if (!generation.isDatabaseOutdated) collector.resume();
    },
  };
}

/** Where several processes collect, each sees in the database that they are to pause, and that they are to go on. */
function pause(collector: Collector, { metadata }: Registry): void {
  if (!metadata.isShared) collector.pause();
}

function reclaimDead({ reclaimer, log }: Registry): void {
  void reclaimer.resume().catch((error: unknown) => {
    log.error({ err: error }, 'dead objects of an earlier run could not be looked up');
  });
}
