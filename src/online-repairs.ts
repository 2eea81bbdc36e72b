import type { Repair } from './fsck/finding.ts';
import { CannotCheckError } from './fsck/records.ts';
import type { StoredBytes } from './fsck/stored-bytes.ts';
import { MetadataBusyError } from './metadata/store.ts';
import type { QuotaCounter } from './quotas/counter.ts';
import type { Registry } from './registry/registry.ts';
import { dropAbandoned, reviewAfterAll } from './registry/repair.ts';
import { recountStored } from './registry/stored.ts';
import type { StoreGeneration } from './registry/store-generation.ts';

type RemovableBytes = Pick<StoredBytes, 'remove' | 'abort'>;

interface Parts {
  readonly registry: Registry;
  readonly generation: StoreGeneration;
  readonly quotas: Pick<QuotaCounter, 'recount'>;
  /** Where the blobs lie, in the words of a check. */
  readonly openBytes: () => Promise<RemovableBytes>;
  /** The database counts as newest again, so that things may be collected. */
  readonly onSettled: () => Promise<void>;
}

/** Takes leaks away while the registry runs, in its own transactions. */
export class OnlineRepairs {
  readonly #parts: Parts;
  #bytes: RemovableBytes | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** @returns whether it was made; not where others have kept it from that, so that it has to be tried again */
  async make(repair: Repair): Promise<boolean> {
    try {
      return await this.#make(repair);
    } catch (error) {
      if (!(error instanceof MetadataBusyError || error instanceof CannotCheckError)) throw error;
      this.#parts.registry.log.warn({ err: error, repair }, 'a repair could not be made');
      return false;
    }
  }

  async #make(repair: Repair): Promise<boolean> {
    const { registry, generation, quotas, onSettled } = this.#parts;
    switch (repair.kind) {
      // No object will ever have the name of what no row knows.
      case 'remove-stray':
        await (await this.#stored()).remove(repair.place);
        return true;
      case 'abort-upload':
        await (await this.#stored()).abort(repair);
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

  async #stored(): Promise<RemovableBytes> {
    this.#bytes ??= await this.#parts.openBytes();
    return this.#bytes;
  }
}
