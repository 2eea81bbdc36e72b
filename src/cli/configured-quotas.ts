import type { PoliciesDocument } from '../config/policies-document.ts';
import type { QuotaSetResult } from '../quotas/quota-set.ts';

/** The quotas of a configuration; undefined where it has none. Their room is loaded for those who have quotas only. */
export async function configuredQuotas(document: PoliciesDocument | undefined): Promise<QuotaSetResult | undefined> {
  if (document === undefined) return undefined;
  const { QuotaSet } = await import('../quotas/quota-set.ts');
  return QuotaSet.parse(document.value, document.whereIs);
}
