import type { Repair } from './fsck/finding.ts';
import { Repairs } from './fsck/repairs.ts';
import type { Registry } from './registry/registry.ts';
import { dropAbandoned, reviewAfterAll } from './registry/repair.ts';
import type { StoreGeneration } from './registry/store-generation.ts';

interface Parts {
  readonly registry: Registry;
  readonly generation: StoreGeneration;
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
    const { registry, generation, onSettled } = this.#parts;
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
    }
  }
}
