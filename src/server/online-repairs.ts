import { BlobStoreBusyError } from '../blobs/store.ts';
import { adoptionReason } from '../fsck/adoption.ts';
import type { Repair } from '../fsck/finding.ts';
import { isExpected } from '../fsck/repairs.ts';
import type { StoredBytes } from '../fsck/stored-bytes.ts';
import { MetadataBusyError } from '../metadata/store.ts';
import { parseDigest } from '../oci/digest.ts';
import type { QuotaCounter } from '../quotas/counter.ts';
import { adopt } from '../registry/adopt.ts';
import type { Registry } from '../registry/registry.ts';
import { dropAbandoned, reviewAfterAll } from '../registry/repair.ts';
import { recountStored } from '../registry/stored.ts';
import type { StoreGeneration } from '../registry/store-generation.ts';

type RepairedBytes = Pick<StoredBytes, 'remove' | 'abort' | 'sync'>;

interface Parts {
  readonly registry: Registry;
  readonly generation: StoreGeneration;
  readonly quotas: Pick<QuotaCounter, 'recount'>;
  /** How long what is adopted stays without a push of it, in ms. */
  readonly keepAdoptedMs: number;
  /** Where the blobs lie, in the words of a check. */
  readonly openBytes: () => Promise<RepairedBytes>;
  /** The database counts as newest again, so that things may be collected. */
  readonly onSettled: () => Promise<void>;
}

/** Takes leaks away while the registry runs, in its own transactions. */
export class OnlineRepairs {
  readonly #parts: Parts;
  #bytes: RepairedBytes | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** @returns whether it was made; not where others have kept it from that, so that it has to be tried again */
  async make(repair: Repair): Promise<boolean> {
    try {
      return await this.#make(repair);
    } catch (error) {
      const isBusy = error instanceof MetadataBusyError || error instanceof BlobStoreBusyError;
      if (!isBusy && !isExpected(error)) throw error;
      this.#parts.registry.log.warn({ err: error, repair }, 'a repair could not be made');
      return false;
    }
  }

  async #make(repair: Repair): Promise<boolean> {
    const { registry, generation, quotas, keepAdoptedMs, onSettled } = this.#parts;
    switch (repair.kind) {
      // No object will ever have the name of what no row knows.
      case 'remove-stray':
        await (await this.#stored()).remove(repair.place);
        return true;
      case 'abort-upload':
        await (await this.#stored()).abort(repair);
        return true;
      case 'adopt-bytes': {
        const { oid, sizeBytes, looks } = repair;
        const digest = parseDigest(repair.digest);
        if (digest === undefined) return false;
        await (await this.#stored()).sync(oid);
        const keptUntil = registry.clock.now() + keepAdoptedMs;
        await adopt(registry, { oid, digest, sizeBytes, reason: adoptionReason(looks), keptUntil });
        return true;
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

  async #stored(): Promise<RepairedBytes> {
    this.#bytes ??= await this.#parts.openBytes();
    return this.#bytes;
  }
}
