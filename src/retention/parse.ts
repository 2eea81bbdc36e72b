import { problemLines, repeatedNames } from './document-problems.ts';
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
  if (!parsed.success)
    return { ok: false, problems: problemLines(parsed.error.issues, { root: 'policies', namesIn, whereIs }) };
  const problems = repeatedNames(parsed.data).map((name) => `policies: two of them are named ${JSON.stringify(name)}`);
  return problems.length > 0 ? { ok: false, problems } : { ok: true, policies: parsed.data };
}
