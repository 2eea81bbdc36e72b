import type { Repair } from './fsck/finding.ts';
import { Repairs } from './fsck/repairs.ts';
import type { QuotaCounter } from './quotas/counter.ts';
import type { Registry } from './registry/registry.ts';
import { dropAbandoned, reviewAfterAll } from './registry/repair.ts';
import { recountStored } from './registry/stored.ts';
import type { StoreGeneration } from './registry/store-generation.ts';

interface Parts {
  readonly registry: Registry;
  readonly generation: StoreGeneration;
  readonly quotas: Pick<QuotaCounter, 'recount'>;
  /** The database counts as newest again, so that things may be collected. */
  readonly onSettled: () => Promise<void>;
}

/** Takes leaks away while the registry runs, in its own transactions. */
export class OnlineRepairs {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** @returns whether it was made */
  async make(repair: Repair): Promise<boolean> {
    const { registry, generation, quotas, onSettled } = this.#parts;
    switch (repair.kind) {
      case 'remove-file': {
        using files = Repairs.besideServer(registry.clock.now());
        return files.make(repair);
      }
      case 'review':
        await reviewAfterAll(registry, repair.task);
        return true;
      case 'drop-object':
        return await dropAbandoned(registry, repair.oid);
      case 'settle-generation':
        await generation.settle(repair.generation);
        await onSettled();
        return true;
      case 'recount-quota':
        await quotas.recount(repair.quota);
        return true;
      case 'recount-stored':
        await recountStored(registry);
        return true;
    }
  }
}
