import { digestOf, type Digest } from '../oci/digest.ts';
import { isJsonObject } from '../oci/json.ts';
import { parsePolicies } from './parse.ts';
import type { Policy } from './policy.ts';

/** The policies of a registry, and what tells them from any others. */
export interface PolicySet {
  readonly policies: readonly Policy[];
  /** Of what was written, but for the order of keys and the notation. */
  readonly hash: Digest;
  /**
   * What tells each policy from what it was before: of what is written in it, and of which repositories others before it
   * take away from it.
   */
  readonly hashes: ReadonlyMap<Policy, Digest>;
}

export type PolicySetResult =
  { readonly ok: true; readonly set: PolicySet } | { readonly ok: false; readonly problems: readonly string[] };

/** Parses policies as parsePolicies does; the hash is that of what was given. */
export function parsePolicySet(
  given: unknown,
  whereIs?: (path: readonly PropertyKey[]) => string | undefined,
): PolicySetResult {
  const parsed = parsePolicies(given, whereIs);
  if (!parsed.ok) return parsed;
  const definitions: readonly unknown[] = Array.isArray(given) ? given : [];
  const hashes = new Map(
    parsed.policies.map((policy, at) => {
      const before = definitions.slice(0, at).map(repositoriesOf);
      return [policy, hashOf([before, definitions[at]])];
    }),
  );
  return { ok: true, set: { policies: parsed.policies, hash: hashOf(given), hashes } };
}

/** What a definition says of the repositories that it is for. */
function repositoriesOf(definition: unknown): unknown {
  return isJsonObject(definition) ? definition['repositories'] : undefined;
}

function hashOf(value: unknown): Digest {
  return digestOf('sha256', new TextEncoder().encode(JSON.stringify(inOrder(value))));
}

/** The same with its keys in order. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, inner]) => [key, inOrder(inner)]),
  );
}
