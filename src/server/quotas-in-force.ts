import { MetadataFullError, type MetadataStore } from '../metadata/store.ts';
import { putInForce } from '../quotas/in-force.ts';
import type { QuotaSet } from '../quotas/quota-set.ts';
import { StartupError } from '../startup-error.ts';

/**
 * Has these quotas limit from now on; undefined where nothing is limited.
 * @throws StartupError where there is no room to write down that quotas have changed
 */
export async function putQuotasInForce(metadata: MetadataStore, quotas: QuotaSet | undefined): Promise<void> {
  try {
    await putInForce(metadata, quotas);
  } catch (error) {
    if (!(error instanceof MetadataFullError)) throw error;
    throw new StartupError(
      'the disk is full, and the quotas are others than before: make room, or leave them as they were',
      { cause: error },
    );
  }
}
