import { first, type Operation } from '../metadata/operation.ts';
import { manifestHeadByDigest } from '../metadata/queries/manifests.ts';
import { tagTarget } from '../metadata/queries/tags.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Reference } from '../oci/reference.ts';

/** Some digests, or whatever there is; what is no digest matches nothing. */
export type Entities = 'any' | ReadonlySet<string>;

/**
 * What a client demands of what a reference leads to when it is changed, so that two who read, change and write the same
 * tag do not overwrite each other (spec.md, "Referrers Tag Schema": "conditional HTTP push").
 */
export interface Precondition {
  /** It leads to one of these. */
  readonly is: Entities | undefined;
  /** It leads to none of these, or nowhere. */
  readonly isNot: Entities | undefined;
}

/** A change that is made whatever was there. */
export const unconditional: Precondition = { is: undefined, isNot: undefined };

export interface PreconditionFailure {
  readonly outcome: 'precondition-failed';
  /** What the reference leads to instead; undefined where it leads nowhere. */
  readonly current: Digest | undefined;
}

/** Looks at the condition in the transaction that makes the change, so that nothing comes between. Undefined: it is met. */
export function* failedPrecondition(
  repo: RepositoryName,
  reference: Reference,
  { is, isNot }: Precondition,
): Operation<PreconditionFailure | undefined> {
  if (is === undefined && isNot === undefined) return undefined;
  const current =
    reference.kind === 'tag'
      ? (yield* first(tagTarget, { repo, name: reference.tag }))?.manifest
      : (yield* first(manifestHeadByDigest, { repo, digest: reference.digest }))?.digest;
  const met = (is === undefined || isAmong(current, is)) && (isNot === undefined || !isAmong(current, isNot));
  return met ? undefined : { outcome: 'precondition-failed', current };
}

function isAmong(digest: Digest | undefined, entities: Entities): boolean {
  return digest !== undefined && (entities === 'any' || entities.has(digest));
}
