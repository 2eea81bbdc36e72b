import type { Digest } from '../../oci/digest.ts';
import { query } from '../query.ts';

/** All approved policies: no more than a configuration has had. */
export const policyApprovals = query<Record<never, never>>()(({ db }) =>
  db.selectFrom('policy_approval').select(['policy', 'approved_at', 'approved_by', 'queued_at']),
);

export const findPolicyApproval = query<{ policy: Digest }>()(({ db, p }) =>
  db.selectFrom('policy_approval').select('approved_at').where('policy', '=', p('policy')),
);

/** Touches no row where it is approved already. */
export const approvePolicy = query<{ policy: Digest; now: number; approvedBy: string }>()(({ db, p }) =>
  db
    .insertInto('policy_approval')
    .values({ policy: p('policy'), approved_at: p('now'), approved_by: p('approvedBy') })
    .onConflict((conflict) => conflict.doNothing()),
);

/** All repositories of a policy are in the queue. */
export const markPolicyQueued = query<{ policy: Digest; now: number }>()(({ db, p }) =>
  db
    .updateTable('policy_approval')
    .set({ queued_at: p('now') })
    .where('policy', '=', p('policy')),
);

/** The times in the queue are not to be relied on: all repositories of all policies have to be in it again. */
export const unqueuePolicies = query<Record<never, never>>()(({ db }) =>
  db.updateTable('policy_approval').set({ queued_at: null }),
);

/** Of a policy that is not in use any more: if it comes back, it is asked about again. */
export const deletePolicyApproval = query<{ policy: Digest }>()(({ db, p }) =>
  db.deleteFrom('policy_approval').where('policy', '=', p('policy')),
);
