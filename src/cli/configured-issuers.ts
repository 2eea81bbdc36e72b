import type { IssuerSetResult } from '../credentials/issuers/issuer-set.ts';
import type { PoliciesDocument } from '../config/policies-document.ts';

/** Whose tokens are believed by a configuration; undefined where it names nobody. Their room is loaded for those who do only. */
export async function configuredIssuers(document: PoliciesDocument | undefined): Promise<IssuerSetResult | undefined> {
  if (document === undefined) return undefined;
  const { IssuerSet } = await import('../credentials/issuers/issuer-set.ts');
  return IssuerSet.parse(document.value, document.whereIs);
}
