import { problemLines, repeatedNames } from '../retention/document-problems.ts';
import { Glob } from '../retention/glob.ts';
import type { Action } from './action.ts';
import type { AccessRule, AccessRules } from './rule.ts';
import { accessSchema, groupsSchema, namesIn } from './schema.ts';

/** A part of a configuration, with where each part of that stands, such as `wherry.yaml:12`. */
export interface AccessDocument {
  readonly value: unknown;
  readonly whereIs?: (path: readonly PropertyKey[]) => string | undefined;
}

export type AccessRulesResult =
  | { readonly ok: true; readonly rules: AccessRules }
  | {
      readonly ok: false;
      /** Each a line for a person: where it stands, the path, what is wrong and what to write instead. */
      readonly problems: readonly string[];
    };

/** Nobody has said who may do what. */
export const noRules: AccessRules = { rules: [], groups: new Map() };

/**
 * Parses what stands under `access` and `groups`: lists, groups and single values as YAML or JSON has them. Everything
 * that is wrong is reported, not just the first thing.
 */
export function parseAccessRules(
  access: AccessDocument | undefined,
  groups: AccessDocument | undefined,
): AccessRulesResult {
  const rules = accessSchema.safeParse(access?.value ?? []);
  const members = groupsSchema.safeParse(groups?.value ?? {});
  const problems = [
    ...problemsOf(rules.error?.issues ?? [], 'access', access),
    ...problemsOf(members.error?.issues ?? [], 'groups', groups),
  ];
  if (!rules.success || !members.success) return { ok: false, problems };
  const named = rules.data.map(({ name, who, repositories, actions }, index): AccessRule => ({
    name: name ?? `access[${index}]`,
    who,
    repositories,
    actions,
  }));
  const repeated = repeatedNames(named).map((name) => `access: two of the rules are named ${JSON.stringify(name)}`);
  return repeated.length > 0
    ? { ok: false, problems: repeated }
    : { ok: true, rules: { rules: named, groups: members.data } };
}

function problemsOf(
  issues: Parameters<typeof problemLines>[0],
  root: string,
  document: AccessDocument | undefined,
): readonly string[] {
  const names = root === 'access' ? namesIn : () => [];
  return problemLines(issues, { root, namesIn: names, whereIs: document?.whereIs ?? (() => undefined) });
}

/** A rule that nobody has written, which lets everybody do some things in every repository. */
export function ruleForEverybody(name: string, actions: readonly Action[]): AccessRule {
  const everything = Glob.parse('**');
  if (!everything.ok) throw new Error(everything.problem);
  return {
    name,
    who: { everybody: 'anonymous', users: [], groups: [], robots: [], certificates: [], claims: new Map() },
    repositories: [everything.glob],
    actions: new Set(actions),
  };
}
