import { all, type Operation } from '../metadata/operation.ts';
import { tagsOf } from '../metadata/queries/usage.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName, TagName } from '../oci/names.ts';

/** What can be neither overwritten nor deleted, by which rule. Asked within transactions, so every answer comes at once. */
export interface Immutability {
  /** The name of the rule by which a tag, there or not, stays where it leads once it is there. */
  ofTag(repo: RepositoryName, tag: TagName): string | undefined;

  /** The name of the rule by which nothing of a repository is deleted, manifests under no tag included. */
  ofRepository(repo: RepositoryName): string | undefined;
}

export const noImmutability: Immutability = { ofTag: () => undefined, ofRepository: () => undefined };

/** Why something stays as it is. */
export interface ImmutabilityRefusal {
  readonly outcome: 'immutable';
  /** The name of the rule. */
  readonly rule: string;
  /** The tag; undefined where it is a manifest under none. */
  readonly tag: TagName | undefined;
}

/** What keeps a tag from being led to something else, or deleted. */
export function refusalOfTag(
  immutability: Immutability,
  repo: RepositoryName,
  tag: TagName,
): ImmutabilityRefusal | undefined {
  const rule = immutability.ofTag(repo, tag);
  return rule === undefined ? undefined : { outcome: 'immutable', rule, tag };
}

/** What keeps a manifest from being deleted: a rule for a tag which would go with it, or for the whole repository. */
export function* refusalOfManifest(
  immutability: Immutability,
  repo: RepositoryName,
  digest: Digest,
): Operation<ImmutabilityRefusal | undefined> {
  if (immutability === noImmutability) return undefined;
  for (const { name } of yield* all(tagsOf, { repo, manifest: digest })) {
    const refusal = refusalOfTag(immutability, repo, name);
    if (refusal !== undefined) return refusal;
  }
  const rule = immutability.ofRepository(repo);
  return rule === undefined ? undefined : { outcome: 'immutable', rule, tag: undefined };
}
