import type { z } from 'zod';
import { suggestion } from '../config/nearest.ts';
import type { Policy } from './policy.ts';
import { namesIn, policiesSchema } from './schema.ts';

export type PoliciesResult =
  | { readonly ok: true; readonly policies: readonly Policy[] }
  | {
      readonly ok: false;
      /** Each a line for a person: where it stands, the path, what is wrong and what to write instead. */
      readonly problems: readonly string[];
    };

/**
 * Parses what stands under `policies`: lists, groups and single values as YAML or JSON has them; a single value may be a
 * text whatever it stands for. Everything that is wrong is reported, not just the first thing.
 *
 * @param whereIs where a part of it stands, such as `wherry.yaml:12`, by the keys and indexes that lead there
 */
export function parsePolicies(
  given: unknown,
  whereIs: (path: readonly PropertyKey[]) => string | undefined = () => undefined,
): PoliciesResult {
  const parsed = policiesSchema.safeParse(given);
  if (!parsed.success) return { ok: false, problems: parsed.error.issues.flatMap((issue) => linesOf(issue, whereIs)) };
  const problems = repeatedNames(parsed.data).map((name) => `policies: two of them are named ${JSON.stringify(name)}`);
  return problems.length > 0 ? { ok: false, problems } : { ok: true, policies: parsed.data };
}

function linesOf(
  issue: z.core.$ZodIssue,
  whereIs: (path: readonly PropertyKey[]) => string | undefined,
): readonly string[] {
  const line = (path: readonly PropertyKey[], message: string): string => {
    const where = whereIs(path);
    return `${where === undefined ? '' : `${where}: `}${pathText(path)} ${message}`;
  };
  if (issue.code !== 'unrecognized_keys') return [line(issue.path, issue.message)];
  return issue.keys.map((key) => line([...issue.path, key], `is not a setting${suggestion(key, namesIn(issue.path))}`));
}

/** `policies[0].rules[1].olderThan` */
function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : `${text}.${String(part)}`),
    'policies',
  );
}

function repeatedNames(policies: readonly Policy[]): readonly string[] {
  const names = policies.map(({ name }) => name);
  return [...new Set(names.filter((name, index) => names.indexOf(name) !== index))];
}
