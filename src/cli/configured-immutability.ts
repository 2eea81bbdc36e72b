import type { PoliciesDocument } from '../config/policies-document.ts';
import type { ImmutabilitySetResult } from '../immutability/immutability-set.ts';

/** What is immutable by a configuration; undefined where nothing is. The room is loaded for those who have rules only. */
export async function configuredImmutability(
  document: PoliciesDocument | undefined,
): Promise<ImmutabilitySetResult | undefined> {
  if (document === undefined) return undefined;
  const { ImmutabilitySet } = await import('../immutability/immutability-set.ts');
  return ImmutabilitySet.parse(document.value, document.whereIs);
}
