import type { Config } from '../config/schema.ts';
import type { Repair } from '../fsck/finding.ts';
import { openBytes } from '../fsck/places.ts';
import { placesOf } from '../stores/checked-places.ts';
import type { Log } from '../log/log.ts';
import { OnlineRepairs } from './online-repairs.ts';
import { QuotaCounter } from '../quotas/counter.ts';
import { StoredQuotas } from '../quotas/in-force.ts';
import type { Clock } from '../registry/clock.ts';
import type { Registry } from '../registry/registry.ts';
import { openStores, type Stores } from '../stores/stores.ts';
import { registryOf } from './registry-of.ts';

interface Opened {
  readonly stores: Stores;
  readonly registry: Registry;
  readonly quotas: QuotaCounter;
  readonly repairs: OnlineRepairs;
}

/**
 * Takes leaks away of a registry whose database other processes may be serving from, or none: by the transactions that a
 * server uses, so it makes no difference. Nothing is opened before there is something to repair.
 */
export class SharedRepairs implements AsyncDisposable {
  readonly #config: Config;
  readonly #log: Log;
  readonly #clock: Clock | undefined;
  #opened: Promise<Opened> | undefined;

  /** @param clock in place of the database's */
  constructor(config: Config, log: Log, clock?: Clock) {
    this.#config = config;
    this.#log = log;
    this.#clock = clock;
  }

  /** @returns whether it was made; not where servers kept it from that @throws StartupError where the stores cannot be opened */
  async make(repair: Repair): Promise<boolean> {
    this.#opened ??= this.#open();
    return await (await this.#opened).repairs.make(repair);
  }

  async #open(): Promise<Opened> {
    const [config, log] = [this.#config, this.#log];
    const stores = await openStores(config, log, { clock: this.#clock });
    const traffic = { pulled: () => undefined, pushed: () => undefined };
    const inForce = await StoredQuotas.open(stores.metadata, log);
    const registry = registryOf({ stores, config, clock: stores.clock, log, traffic, quotas: inForce });
    const quotas = new QuotaCounter({ metadata: stores.metadata, log });
    const repairs = new OnlineRepairs({
      registry,
      generation: stores.generation,
      quotas,
      keepAdoptedMs: config.windows.adoptedMs,
      openBytes: () => openBytes(placesOf(config)),
      // Servers see for themselves that they may collect.
      onSettled: () => Promise.resolve(),
    });
    return { stores, registry, quotas, repairs };
  }

  /** What quotas count anew is counted to the end. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#opened === undefined) return;
    const { stores, registry, quotas } = await this.#opened;
    await quotas.counted();
    await quotas.stop();
    await registry.reclaimer.idle();
    await stores.close();
  }
}
