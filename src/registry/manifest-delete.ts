import { all, change, first, type Operation } from '../metadata/operation.ts';
import { manifestHeadByDigest, trashManifest, visibleParents } from '../metadata/queries/manifests.ts';
import { releaseManifest } from '../metadata/queries/removals.ts';
import { deleteTag, deleteTagsOf, insertTagTrash } from '../metadata/queries/tags.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName, TagName } from '../oci/names.ts';
import { failedPrecondition, type Precondition, type PreconditionFailure } from './precondition.ts';
import type { Registry } from './registry.ts';
import { reviewManifest } from './review.ts';

/** How many holders a refusal names at most. */
const namedHolders = 10;

export type DeleteManifestOutcome =
  | { readonly outcome: 'deleted'; readonly tags: readonly TagName[] }
  | { readonly outcome: 'unknown' }
  | { readonly outcome: 'referenced'; readonly indexes: readonly Digest[] }
  | PreconditionFailure;

/**
 * T_manifest_delete: hides a manifest at once and takes the tags along that point at it in this transaction, no others
 * (R12). Its edges stay for the trash window, so that everything it needs stays too. Refused while a visible index
 * lists it (R17).
 */
export async function deleteManifest(
  registry: Registry,
  repo: RepositoryName,
  digest: Digest,
  precondition: Precondition,
): Promise<DeleteManifestOutcome> {
  const now = registry.clock.now();
  const trashUntil = now + registry.windows.trashMs;
  return await registry.metadata.write(
    function* remove(): Operation<DeleteManifestOutcome> {
      if ((yield* first(manifestHeadByDigest, { repo, digest })) === undefined) return { outcome: 'unknown' };
      const parents = yield* all(visibleParents, { repo, child: digest, limit: namedHolders });
      if (parents.length > 0) return { outcome: 'referenced', indexes: parents.map((parent) => parent.digest) };
      const unmet = yield* failedPrecondition(repo, { kind: 'digest', digest }, precondition);
      if (unmet !== undefined) return unmet;
      const tags = (yield* all(deleteTagsOf, { repo, manifest: digest })).map((tag) => tag.name);
      for (const name of tags) {
        yield* change(insertTagTrash, { repo, name, manifest: digest, now, purgeAfter: trashUntil });
      }
      yield* change(trashManifest, { repo, digest, trashUntil });
      yield* reviewManifest(repo, digest, trashUntil);
      return { outcome: 'deleted', tags };
    },
    { fromReserve: true },
  );
}

export type DeleteTagOutcome =
  { readonly outcome: 'deleted'; readonly manifest: Digest } | { readonly outcome: 'unknown' } | PreconditionFailure;

/**
 * T_tag_delete: removes a tag; what it pointed at is remembered for the trash window (R23) and reviewed after it. With a
 * precondition, a tag that was moved meanwhile stays.
 */
export async function removeTag(
  registry: Registry,
  repo: RepositoryName,
  name: TagName,
  precondition: Precondition,
): Promise<DeleteTagOutcome> {
  const now = registry.clock.now();
  const purgeAfter = now + registry.windows.trashMs;
  const leaseUntil = now + registry.windows.leaseMs;
  return await registry.metadata.write(
    function* remove(): Operation<DeleteTagOutcome> {
      const unmet = yield* failedPrecondition(repo, { kind: 'tag', tag: name }, precondition);
      if (unmet !== undefined) return unmet.current === undefined ? { outcome: 'unknown' } : unmet;
      const removed = yield* first(deleteTag, { repo, name });
      if (removed === undefined) return { outcome: 'unknown' };
      yield* change(insertTagTrash, { repo, name, manifest: removed.manifest, now, purgeAfter });
      yield* change(releaseManifest, { repo, digest: removed.manifest, now, leaseUntil });
      yield* reviewManifest(repo, removed.manifest, purgeAfter);
      return { outcome: 'deleted', manifest: removed.manifest };
    },
    { fromReserve: true },
  );
}
