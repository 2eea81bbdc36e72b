import { z } from 'zod';
import { group, name, oneOrMore, parsed, repositoryGlob } from '../retention/document-schema.ts';
import type { Glob } from '../retention/glob.ts';
import { parseTagPattern, type Pattern } from '../retention/pattern.ts';

/** More than this are a mistake; the bound keeps small what it takes to find the one that a tag is under. */
const mostRules = 100;

/** A rule as it is written. */
export interface ImmutabilityDefinition {
  /** Undefined where nobody has named it. */
  readonly name?: string | undefined;
  readonly repositories: readonly Glob[];
  /** Undefined: all tags, and manifests under none. */
  readonly tags?: readonly Pattern[] | undefined;
  readonly exclude: readonly Pattern[];
}

const tagPattern = parsed('tags, globs such as v*, or regular expressions such as /v\\d+/', (text) => {
  const outcome = parseTagPattern(text);
  return outcome.ok ? { ok: true, result: outcome.pattern } : outcome;
});

const ruleShape = {
  name: name.optional(),
  repositories: oneOrMore(repositoryGlob),
  tags: oneOrMore(tagPattern).optional(),
  exclude: oneOrMore(tagPattern).default([]),
};

/** What the key `immutable` holds. */
export const immutableSchema: z.ZodType<readonly ImmutabilityDefinition[]> = z
  .array(group(ruleShape), { error: 'is a list of rules' })
  .max(mostRules, { error: `has more than ${mostRules} rules` });

/** The names that may stand in a rule, for the nearest spelling. */
export function namesIn(): readonly string[] {
  return Object.keys(ruleShape);
}
