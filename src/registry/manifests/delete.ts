import { all, change, first, type Operation } from '../../metadata/operation.ts';
import { manifestTimes } from '../../metadata/queries/holds.ts';
import { manifestHeadByDigest, trashManifest, visibleParents } from '../../metadata/queries/manifests.ts';
import { releaseManifest } from '../../metadata/queries/removals.ts';
import { deleteTag, deleteTagsOf, insertTagTrash, tagTarget } from '../../metadata/queries/tags.ts';
import { tagsOf } from '../../metadata/queries/usage.ts';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName, TagName } from '../../oci/names.ts';
import { type Actor, anyClient } from '../actor.ts';
import { recordEvent } from '../events.ts';
import { type ImmutabilityRefusal, refusalOfManifest, refusalOfTag } from '../immutability.ts';
import { pinAgainstDelete, pinAgainstTagDelete, type PinRefusal } from '../pin.ts';
import { keepsHistory, rememberManifestGone, rememberTagGone } from '../history.ts';
import { failedPrecondition, type Precondition, type PreconditionFailure } from '../precondition.ts';
import { uncountTags } from '../quota-usage.ts';
import type { Registry } from '../registry.ts';
import { reviewRepository } from '../retention-review.ts';
import { reviewManifest } from '../review.ts';

/** How many holders a refusal names at most. */
const namedHolders = 10;
/** The event of a manifest that takes many tags along names some of them: each has an event of its own. */
const longestReason = 1000;

export type DeleteManifestOutcome =
  | { readonly outcome: 'deleted'; readonly tags: readonly TagName[] }
  | { readonly outcome: 'unknown' }
  | { readonly outcome: 'referenced'; readonly indexes: readonly Digest[] }
  | PinRefusal
  | ImmutabilityRefusal
  | PreconditionFailure;

/**
 * T_manifest_delete: hides a manifest at once and takes the tags along that point at it in this transaction, no others
 * (R12). Its edges stay for the trash window, so that everything it needs stays too. Refused while a visible index
 * lists it (R17), or while it or one of the tags is pinned or immutable.
 */
export async function deleteManifest(
  registry: Registry,
  repo: RepositoryName,
  digest: Digest,
  precondition: Precondition,
  actor: Actor = anyClient,
): Promise<DeleteManifestOutcome> {
  const now = registry.clock.now();
  const trashUntil = now + registry.windows.trashMs;
  return await registry.metadata.write(
    function* remove(begun): Operation<DeleteManifestOutcome> {
      if ((yield* first(manifestHeadByDigest, { repo, digest })) === undefined) return { outcome: 'unknown' };
      const parents = yield* all(visibleParents, { repo, child: digest, limit: namedHolders });
      if (parents.length > 0) return { outcome: 'referenced', indexes: parents.map((parent) => parent.digest) };
      const pin = yield* pinAgainstDelete(repo, digest);
      if (pin !== undefined) return { outcome: 'pinned', pin };
      const immutable = yield* refusalOfManifest(registry.immutability, repo, digest);
      if (immutable !== undefined) return immutable;
      const unmet = yield* failedPrecondition(repo, { kind: 'digest', digest }, precondition);
      if (unmet !== undefined) return unmet;
      // The quota, the manifest, the tags: a push takes them in this order.
      const quota = (yield* registry.quotas.at(begun)).of(repo);
      if (quota !== undefined) {
        const counted = yield* all(tagsOf, { repo, manifest: digest });
        yield* uncountTags(quota, repo, counted.map(nameOf));
      }
      const removed = yield* all(deleteTagsOf, { repo, manifest: digest });
      const tags = removed.map(nameOf);
      if (keepsHistory(registry.windows)) {
        for (const tag of removed) yield* rememberTagGone({ at: now, repo }, tag.name, { ...tag, manifest: digest });
        const before = yield* first(manifestTimes, { repo, digest });
        if (before !== undefined) yield* rememberManifestGone({ at: now, repo, digest }, before);
      }
      for (const name of tags) {
        yield* change(insertTagTrash, { repo, name, manifest: digest, now, purgeAfter: trashUntil });
      }
      yield* change(trashManifest, { repo, digest, trashUntil });
      const reason = tags.length === 0 ? undefined : `with the tags ${tags.join(', ')}`.slice(0, longestReason);
      yield* recordEvent({ at: now, kind: 'manifest.deleted', repo, digest, actor, ...(reason && { reason }) });
      for (const tag of tags) {
        yield* recordEvent({ at: now, kind: 'tag.deleted', repo, digest, tag, actor, reason: 'with its manifest' });
      }
      yield* reviewManifest(repo, digest, trashUntil);
      yield* reviewRepository(registry.retention, repo, 'narrowed', now);
      return { outcome: 'deleted', tags };
    },
    { fromReserve: true },
  );
}

export type DeleteTagOutcome =
  | { readonly outcome: 'deleted'; readonly manifest: Digest }
  | { readonly outcome: 'unknown' }
  | PinRefusal
  | ImmutabilityRefusal
  | PreconditionFailure;

/**
 * T_tag_delete: removes a tag; what it pointed at is remembered for the trash window (R23) and reviewed after it. With a
 * precondition, a tag that was moved meanwhile stays; so does one that is pinned or immutable, or whose repository is.
 */
export async function removeTag(
  registry: Registry,
  repo: RepositoryName,
  name: TagName,
  precondition: Precondition,
  actor: Actor = anyClient,
): Promise<DeleteTagOutcome> {
  const now = registry.clock.now();
  const purgeAfter = now + registry.windows.trashMs;
  const leaseUntil = now + registry.windows.leaseMs;
  return await registry.metadata.write(
    function* remove(begun): Operation<DeleteTagOutcome> {
      const there = yield* first(tagTarget, { repo, name });
      if (there === undefined) return { outcome: 'unknown' };
      const pin = yield* pinAgainstTagDelete(repo, name);
      if (pin !== undefined) return { outcome: 'pinned', pin };
      const immutable = refusalOfTag(registry.immutability, repo, name);
      if (immutable !== undefined) return immutable;
      const unmet = yield* failedPrecondition(repo, { kind: 'tag', tag: name }, precondition);
      if (unmet !== undefined) return unmet;
      // The quota, the manifest, the tag: a push takes them in this order.
      yield* uncountTags((yield* registry.quotas.at(begun)).of(repo), repo, [name]);
      yield* change(releaseManifest, { repo, digest: there.manifest, now, leaseUntil });
      const removed = yield* first(deleteTag, { repo, name });
      if (removed === undefined) throw new Error('a tag is gone that this transaction has seen');
      if (keepsHistory(registry.windows)) yield* rememberTagGone({ at: now, repo }, name, removed);
      yield* change(insertTagTrash, { repo, name, manifest: removed.manifest, now, purgeAfter });
      yield* recordEvent({ at: now, kind: 'tag.deleted', repo, digest: removed.manifest, tag: name, actor });
      yield* reviewManifest(repo, removed.manifest, purgeAfter);
      yield* reviewRepository(registry.retention, repo, 'narrowed', now);
      return { outcome: 'deleted', manifest: removed.manifest };
    },
    { fromReserve: true },
  );
}

function nameOf({ name }: { readonly name: TagName }): TagName {
  return name;
}
