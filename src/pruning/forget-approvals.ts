import { all, change, type Operation } from '../metadata/operation.ts';
import { deletePolicyApproval, policyApprovals } from '../metadata/queries/policy-approvals.ts';
import type { MetadataStore } from '../metadata/store.ts';
import type { Digest } from '../oci/digest.ts';

/** Forgets that policies were approved which are in use no more: one that comes back is new. */
export async function forgetApprovals(metadata: MetadataStore, hashes: readonly Digest[]): Promise<void> {
  if (hashes.length === 0) return;
  await metadata.write(
    function* forget(): Operation<void> {
      for (const policy of hashes) yield* change(deletePolicyApproval, { policy });
    },
    { fromReserve: true, whileReadOnly: true },
  );
}

/**
 * The same of all, for a server that has no policies: what changes meanwhile is in no queue, so that all repositories
 * have to be looked at when one comes back.
 */
export async function forgetAllApprovals(metadata: MetadataStore): Promise<void> {
  const rows = await metadata.read(() => all(policyApprovals, {}));
  await forgetApprovals(
    metadata,
    rows.map(({ policy }) => policy),
  );
}
