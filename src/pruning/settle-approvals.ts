import { all, change, type Operation } from '../metadata/operation.ts';
import { deletePolicyApproval, policyApprovals, unqueuePolicies } from '../metadata/queries/policy-approvals.ts';
import type { MetadataStore } from '../metadata/store.ts';
import type { Digest } from '../oci/digest.ts';
import { goByTheSame } from '../registry/processes.ts';
import type { PolicySet } from '../retention/policy-set.ts';

/** What a process without policies says that it goes by. */
const withoutPolicies = 'none';

/** By which policies a process goes, as it tells the others. */
export function policiesText(set: PolicySet | undefined): string {
  return set?.hash ?? withoutPolicies;
}

/**
 * Sees to what is approved of that is none of this process's policies. Where no process that shares the database goes by
 * others, it is forgotten: a policy that comes back is new.
 *
 * As long as others do, such as while a configuration is rolled out, approvals stay; but what changes in one process is not in
 * the queue as the policies of another want it, nor is what an earlier version puts away. So all have to be queued again after that.
 *
 * @returns whether all go by the same
 */
export async function settleApprovals(metadata: MetadataStore, set: PolicySet | undefined): Promise<boolean> {
  const policies = policiesText(set);
  const own = new Set<Digest>(set?.hashes.values());
  const { isSettled, areSame } = await metadata.read(function* look() {
    const rows = yield* all(policyApprovals, {});
    const same = yield* goByTheSame(policies);
    const isOff = same ? rows.some(({ policy }) => !own.has(policy)) : rows.some((row) => row.queued_at !== null);
    return { isSettled: !isOff, areSame: same };
  });
  if (isSettled) return areSame;
  return await metadata.write(
    function* settle(): Operation<boolean> {
      if (!(yield* goByTheSame(policies))) {
        yield* change(unqueuePolicies, {});
        return false;
      }
      for (const { policy } of yield* all(policyApprovals, {})) {
        if (!own.has(policy)) yield* change(deletePolicyApproval, { policy });
      }
      return true;
    },
    { fromReserve: true, whileReadOnly: true },
  );
}
