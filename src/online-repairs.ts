import type { Repair } from './fsck/finding.ts';
import type { StoredBytes } from './fsck/stored-bytes.ts';
import type { QuotaCounter } from './quotas/counter.ts';
import type { Registry } from './registry/registry.ts';
import { dropAbandoned, reviewAfterAll } from './registry/repair.ts';
import { recountStored } from './registry/stored.ts';
import type { StoreGeneration } from './registry/store-generation.ts';

interface Parts {
  readonly registry: Registry;
  readonly generation: StoreGeneration;
  readonly quotas: Pick<QuotaCounter, 'recount'>;
  /** Where the blobs lie, in the words of a check. */
  readonly openBytes: () => Promise<Pick<StoredBytes, 'remove' | 'abort'>>;
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
    const { registry, generation, quotas, openBytes, onSettled } = this.#parts;
    switch (repair.kind) {
      // No object will ever have the name of what no row knows.
      case 'remove-stray':
        await (await openBytes()).remove(repair.place);
        return true;
      case 'abort-upload':
        await (await openBytes()).abort(repair);
        return true;
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
