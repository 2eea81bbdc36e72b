import type { PolicyDefinition, RuleDefinition } from '../definition.ts';
import { Glob } from '../glob.ts';
import type { ConversionRemark } from './conversion.ts';

/** Rules for some of the repositories. Where several name a repository, the rules of all of them hold. */
export interface ScopedRules {
  /** Where they stood. */
  readonly path: string;
  readonly repositories: readonly string[];
  /** Repositories that are named above and not meant. */
  readonly except: readonly string[];
  readonly rules: readonly RuleDefinition[];
}

/**
 * Policies of which the first that matches a repository has all rules that hold for it: one for each glob, the narrower
 * before the broader. A repository that no rules are for is left alone.
 */
export function policiesOfScopes(
  scopes: readonly ScopedRules[],
  base: Pick<PolicyDefinition, 'default' | 'rails'>,
): { readonly policies: readonly PolicyDefinition[]; readonly remarks: readonly ConversionRemark[] } {
  const globs = [...new Set(scopes.flatMap(({ repositories, except }) => [...repositories, ...except]))];
  const remarks: ConversionRemark[] = [];
  const ordered = narrowFirst(globs);
  const policies = ordered.map((glob, index): PolicyDefinition => {
    const here = scopes.filter((scope) => {
      if (scope.except.some((other) => covers(other, glob))) return false;
      if (scope.repositories.some((other) => covers(other, glob))) return true;
      // What a glob before this one names has been taken by then.
      const overlap = scope.repositories.find((other) => ordered.indexOf(other) > index && mayOverlap(other, glob));
      if (overlap === undefined) return false;
      remarks.push({
        path: scope.path,
        message: `A repository may be named by ${overlap} and by ${glob}, which comes first here; so the policy of ${glob} has this rule for all of its repositories.`,
      });
      return true;
    });
    const rules = here.flatMap((scope) => scope.rules);
    if (here.length === 0) return { repositories: [glob], default: 'keep' };
    return Object.assign({ repositories: [glob], rules }, base);
  });
  return { policies: merged(policies), remarks };
}

/** Neighbours that say the same about different repositories are one policy. */
function merged(policies: readonly PolicyDefinition[]): readonly PolicyDefinition[] {
  const result: PolicyDefinition[] = [];
  for (const policy of policies) {
    const last = result.at(-1);
    const isSame =
      last !== undefined &&
      JSON.stringify({ ...last, repositories: [] }) === JSON.stringify({ ...policy, repositories: [] });
    if (isSame) result[result.length - 1] = { ...last, repositories: [last.repositories, policy.repositories].flat() };
    else result.push(policy);
  }
  return result;
}

function narrowFirst(globs: readonly string[]): readonly string[] {
  const ordered: string[] = [];
  for (const glob of globs) {
    const broader = ordered.findIndex((other) => covers(other, glob));
    ordered.splice(broader === -1 ? ordered.length : broader, 0, glob);
  }
  return ordered;
}

function covers(one: string, other: string): boolean {
  const [a, b] = [Glob.parse(one), Glob.parse(other)];
  return a.ok && b.ok && a.glob.covers(b.glob);
}

/** Whether a repository may match both; certainly not where what they begin with differs. */
function mayOverlap(one: string, other: string): boolean {
  const [a, b] = [startOf(one), startOf(other)];
  const isLiteral = (glob: string): boolean => !/[*?]/.test(glob);
  if (isLiteral(one) || isLiteral(other)) return covers(one, other) || covers(other, one);
  return a.startsWith(b) || b.startsWith(a);
}

function startOf(glob: string): string {
  return (/^[^*?]*/.exec(glob)?.[0] ?? '').replace(/\/$/, '');
}
