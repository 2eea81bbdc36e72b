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

/** Remembers hourly what is stored, so that it can be said when the disk will be full. */
export class Samples {
  readonly #registry: Pick<Registry, 'metadata' | 'clock' | 'log'>;
  /** In ms since 1970; undefined until it has been looked up. */
  #lastAt: number | undefined;

  constructor(registry: Pick<Registry, 'metadata' | 'clock' | 'log'>) {
    this.#registry = registry;
  }

  /** Takes a sample where the last one is an hour old. */
  async look({ usedOnDiskBytes, blobBytes }: Pick<Levels, 'usedOnDiskBytes' | 'blobBytes'>): Promise<void> {
    const { metadata, clock, log } = this.#registry;
    const now = clock.now();
    this.#lastAt ??= (await metadata.read(() => first(storageSamplesSince, { since: 0, limit: 1 })))?.at ?? -Infinity;
    // A clock that was set back must not keep the next sample away.
    if (now >= this.#lastAt && now - this.#lastAt < everyMs) return;
    this.#lastAt = now;
    try {
      await metadata.writeUnsynced(function* sample(): Operation<void> {
        yield* change(insertStorageSample, { at: now, storedBytes: blobBytes, diskUsedBytes: usedOnDiskBytes });
        yield* change(deleteOldStorageSamples, { before: now - keepMs });
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
