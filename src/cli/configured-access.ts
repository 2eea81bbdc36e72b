import type { AccessRulesResult } from '../access/parse.ts';
import type { PoliciesDocument } from '../config/policies-document.ts';

/** Who may do what by a configuration; undefined where it does not say. The room is loaded for those who have rules only. */
export async function configuredAccess(
  access: PoliciesDocument | undefined,
  groups: PoliciesDocument | undefined,
): Promise<AccessRulesResult | undefined> {
  if (access === undefined && groups === undefined) return undefined;
  const { parseAccessRules } = await import('../access/parse.ts');
  const parsed = parseAccessRules(access, groups);
  // Groups alone say nothing of what anybody may do.
  return parsed.ok && access === undefined ? undefined : parsed;
}
