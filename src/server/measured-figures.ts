import type { Reports } from '../bounds/report.ts';
import type { Storage } from '../bounds/storage.ts';
import { storageFigures } from '../bounds/storage-figures.ts';
import type { Collector } from '../collector/collector.ts';
import type { StoreFigures } from '../metrics/metrics.ts';
import type { Pruner } from '../pruning/pruner.ts';
import { collectorPause, dueReviews } from '../registry/collector-pause.ts';
import type { Registry } from '../registry/registry.ts';
import { heldFigures } from '../registry/store-figures.ts';
import type { StoreGeneration } from '../registry/store-generation.ts';

export interface MeasuredParts {
  readonly registry: Registry;
  readonly storage: Storage;
  readonly reports: Reports;
  readonly generation: StoreGeneration;
  readonly collector: Collector;
  readonly pruner: Pruner | undefined;
}

/** What a server's metrics show of how it stands now. */
export async function measuredFigures({
  registry,
  storage,
  reports,
  generation,
  collector,
  pruner,
}: MeasuredParts): Promise<StoreFigures> {
  const reviews = await dueReviews(registry);
  const measured = await storage.measure();
  const { freeBytes, totalBytes } = measured.disk;
  const standing = (await pruner?.standing()) ?? [];
  return {
    ...storageFigures(measured, storage, reports.recent()),
    ...(await heldFigures(registry)),
    databaseBytes: measured.databaseBytes,
    diskFreeBytes: freeBytes,
    diskTotalBytes: totalBytes,
    databaseOutdated: generation.isDatabaseOutdated ? 1 : 0,
    dueReviews: reviews.count,
    oldestDueSeconds: reviews.oldestDueMs / 1000,
    // Any of the processes that share a database may have been told to pause.
    collectorPaused: collector.isPaused || (await collectorPause(registry)) !== undefined ? 1 : 0,
    policiesWaiting: standing.filter(({ state }) => state.state === 'waiting').length,
    pruningPaused: (await pruner?.pause()) === undefined ? 0 : 1,
  };
}
