import type { PoliciesDocument } from '../config/policies-document.ts';
import type { PolicySetResult } from '../retention/policy-set.ts';

/**
 * The policies of a configuration; undefined where it has none. The room of retention is loaded for those who have
 * policies only.
 */
export async function configuredPolicies(document: PoliciesDocument | undefined): Promise<PolicySetResult | undefined> {
  if (document === undefined) return undefined;
  const { parsePolicySet } = await import('../retention/policy-set.ts');
  return parsePolicySet(document.value, document.whereIs);
}
