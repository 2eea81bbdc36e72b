import { all, change, first, type Operation } from '../metadata/operation.ts';
import {
  deleteOldStorageSamples,
  insertStorageSample,
  storageSamplesSince,
} from '../metadata/queries/storage-samples.ts';
import type { Registry } from '../registry/registry.ts';
import type { Levels } from './levels.ts';
import type { Sample } from './forecast.ts';

const hourMs = 3_600_000;
/** How often a sample is kept, in ms. */
const everyMs = hourMs;
/** For how long, in ms. */
const keepMs = 30 * 24 * hourMs;
/** As many samples as there can be. */
const mostSamples = keepMs / everyMs + 2;

/** Remembers hourly what is stored, so that it can be said when the disk will be full: once an hour among all processes. */
export class Samples {
  readonly #registry: Pick<Registry, 'metadata' | 'clock' | 'log'>;
  /** When the last one was taken that this process knows of, in ms since 1970. */
  #lastAt = -Infinity;

  constructor(registry: Pick<Registry, 'metadata' | 'clock' | 'log'>) {
    this.#registry = registry;
  }

  /** Takes a sample where the last one is an hour old. */
  async look({ usedOnDiskBytes, blobBytes }: Pick<Levels, 'usedOnDiskBytes' | 'blobBytes'>): Promise<void> {
    const { metadata, clock, log } = this.#registry;
    const now = clock.now();
    if (isRecent(this.#lastAt, now)) return;
    this.#lastAt = now;
    try {
      this.#lastAt = await metadata.writeUnsynced(function* sample(): Operation<number> {
        // Another process may have taken one, or this one before its start.
        const last = yield* first(storageSamplesSince, { since: 0, limit: 1 });
        if (last !== undefined && isRecent(last.at, now)) return last.at;
        yield* change(insertStorageSample, { at: now, storedBytes: blobBytes, diskUsedBytes: usedOnDiskBytes });
        yield* change(deleteOldStorageSamples, { before: now - keepMs });
        return now;
      });
    } catch (error) {
      log.warn({ err: error }, 'how much is stored could not be written down');
    }
  }

  /** Those of the last so many ms, the oldest first. */
  async last(ms: number): Promise<readonly Sample[]> {
    const since = this.#registry.clock.now() - ms;
    const rows = await this.#registry.metadata.read(() => all(storageSamplesSince, { since, limit: mostSamples }));
    return rows.toReversed().map(({ at, stored_bytes, disk_used_bytes }) => ({
      at,
      storedBytes: stored_bytes,
      diskUsedBytes: disk_used_bytes,
    }));
  }
}

/** Whether a sample of then is enough for now. A clock that was set back must not keep the next one away. */
function isRecent(at: number, now: number): boolean {
  return now >= at && now - at < everyMs;
}
