import type { Log } from '../log/log.ts';
import { quotaSet } from '../metadata/migrations/0029-quota-set.ts';
import { MetadataFullError, type MetadataStore } from '../metadata/store.ts';
import { putInForce } from '../quotas/in-force.ts';
import type { QuotaSet } from '../quotas/quota-set.ts';
import { StartupError } from '../startup-error.ts';

/**
 * Has these quotas limit from now on, at all processes; undefined where nothing is limited.
 *
 * @returns whether they are others than before
 * @throws StartupError where there is no room to write down that quotas have changed
 */
export async function putQuotasInForce(
  metadata: MetadataStore,
  quotas: QuotaSet | undefined,
  log: Log,
): Promise<boolean> {
  if (!(await put(metadata, quotas))) return false;
  const older = await metadata.processesBefore(quotaSet.number);
  if (older.length > 0) {
    log.warn(
      { connections: older },
      'the quotas are others than before, and processes of an earlier version go on counting by theirs: once they have ended, have it put right by wherry fsck --repair',
    );
  }
  return true;
}

async function put(metadata: MetadataStore, quotas: QuotaSet | undefined): Promise<boolean> {
  try {
    return await putInForce(metadata, quotas);
  } catch (error) {
    if (!(error instanceof MetadataFullError)) throw error;
    throw new StartupError(
      'the disk is full, and the quotas are others than before: make room, or leave them as they were',
      { cause: error },
    );
  }
}
