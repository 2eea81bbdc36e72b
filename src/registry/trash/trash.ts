import { all, change, type Operation } from '../../metadata/operation.ts';
import {
  endManifestTrash,
  endTagTrash,
  trashedManifest,
  trashedManifestsAfter,
  trashedTag,
  trashedTagsAfter,
} from '../../metadata/queries/trash.ts';
import { trashedTagsOf } from '../../metadata/queries/removals.ts';
import type { TagTrashTable } from '../../metadata/schema.ts';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName, TagName } from '../../oci/names.ts';
import type { Target } from '../../oci/target.ts';
import type { Actor } from '../actor.ts';
import { recordEvent } from '../events.ts';
import { orderOfKeys } from '../order-of-keys.ts';
import type { Registry } from '../registry.ts';
import { reviewManifest } from '../review.ts';

/** Things that one transaction takes out of the trash, so that no request waits long. */
const batch = 100;

/** A deleted manifest, or what a deleted or moved tag led to. Both can be restored until `until`, in ms since 1970. */
export type TrashEntry =
  | {
      readonly kind: 'manifest';
      readonly repo: RepositoryName;
      readonly digest: Digest;
      readonly mediaType: string;
      readonly sizeBytes: number;
      readonly until: number;
    }
  | {
      readonly kind: 'tag';
      readonly repo: RepositoryName;
      readonly tag: TagName;
      readonly digest: Digest;
      readonly deletedAt: number;
      readonly until: number;
    };

export interface TrashRequest {
  /** Undefined for all repositories. */
  readonly repo: RepositoryName | undefined;
  /** Where the page starts: after this, which need not exist. */
  readonly after: Target | undefined;
  readonly limit: number;
}

/**
 * A page of the trash: of each repository first the deleted manifests, then the tags. A page shorter than `limit` is the
 * last.
 */
export async function trashPage({ metadata }: Registry, request: TrashRequest): Promise<readonly TrashEntry[]> {
  return await metadata.read(() => page(request));
}

function* page({ repo, after, limit }: TrashRequest): Operation<readonly TrashEntry[]> {
  const from = startOf(repo, after);
  const manifests = yield* all(trashedManifestsAfter, { ...from.manifests, limit });
  const tags = yield* all(trashedTagsAfter, { ...from.tags, limit });
  const merged = [...manifests.map(manifestEntry), ...tags.map(tagEntry)].filter(
    (entry) => repo === undefined || entry.repo === repo,
  );
  // Both lists are in order already; sorting is stable, and within a repository manifests stand first.
  return merged.sort((a, b) => orderOfKeys(a.repo, b.repo)).slice(0, limit);
}

/** Behind any digest: what comes after it is the next repository's. */
const behindDigests = '~';

function startOf(repo: RepositoryName | undefined, after: Target | undefined) {
  if (after === undefined) {
    const first = { repo: repo ?? '' };
    return { manifests: { ...first, digest: '' }, tags: { ...first, name: '', manifest: '' } };
  }
  const { tag, digest = '' } = after;
  return tag === undefined
    ? { manifests: { repo: after.repo, digest }, tags: { repo: after.repo, name: '', manifest: '' } }
    : {
        manifests: { repo: after.repo, digest: behindDigests },
        tags: { repo: after.repo, name: tag, manifest: digest },
      };
}

/** Where the page after one that ends with an entry starts. */
export function positionOf(entry: TrashEntry): Target {
  return { repo: entry.repo, tag: entry.kind === 'tag' ? entry.tag : undefined, digest: entry.digest };
}

export interface EmptyTrashRequest {
  /** All there is, a repository's, or what one of its tags or digests names. */
  readonly target: Target | undefined;
  readonly actor: Actor;
  /** Only says what it would do. */
  readonly isTrial: boolean;
  /** Is told how many things it has come to. */
  readonly onProgress?: (progress: { readonly name: string; readonly done: number }) => void;
}

export interface EmptiedTrash {
  readonly manifests: number;
  readonly tags: number;
}

/**
 * Ends the time of things in the trash now, so that the collector takes them away, as far as nothing else holds them. A
 * lease goes on: a client was told that the thing is there.
 */
export async function emptyTrash(
  registry: Registry,
  { target, actor, isTrial, onProgress = () => undefined }: EmptyTrashRequest,
): Promise<EmptiedTrash> {
  const { metadata, clock } = registry;
  const emptied = { manifests: 0, tags: 0 };
  for await (const entries of trashBatches(registry, target)) {
    const now = clock.now();
    const waiting = entries.filter(({ until }) => until > now);
    const gone = isTrial ? waiting : await metadata.write(() => endWindows(waiting, now, actor), { fromReserve: true });
    emptied.manifests += gone.filter(({ kind }) => kind === 'manifest').length;
    emptied.tags += gone.filter(({ kind }) => kind === 'tag').length;
    onProgress({ name: 'entries', done: emptied.manifests + emptied.tags });
  }
  return emptied;
}

/** All of the trash, a repository's, or what one of its tags or digests names: some at a time. */
export async function* trashBatches(
  { metadata }: Registry,
  target: Target | undefined,
): AsyncGenerator<readonly TrashEntry[], void, undefined> {
  let after: Target | undefined;
  for (;;) {
    const entries = await metadata.read(() => entriesOf(target, after));
    yield entries;
    const last = entries.at(-1);
    if (last === undefined || entries.length < batch || isOneThing(target)) return;
    after = positionOf(last);
  }
}

/** Whether a target names something in the trash: a manifest that was deleted, or by the tag what it led to. */
export function isNamed(
  target: Target | undefined,
  entry: { readonly repo: RepositoryName; readonly digest: Digest; readonly tag: TagName | undefined },
): boolean {
  if (target === undefined) return true;
  if (target.repo !== entry.repo) return false;
  if (target.tag !== undefined && target.tag !== entry.tag) return false;
  return target.digest === undefined || target.digest === entry.digest;
}

function isOneThing(target: Target | undefined): boolean {
  return target?.tag !== undefined || target?.digest !== undefined;
}

function* entriesOf(target: Target | undefined, after: Target | undefined): Operation<readonly TrashEntry[]> {
  if (target === undefined || !isOneThing(target)) {
    return yield* page({ repo: target?.repo, after, limit: batch });
  }
  const { repo, tag, digest } = target;
  if (tag !== undefined) {
    const tags = yield* all(trashedTag, { repo, name: tag });
    return tags.filter(({ manifest }) => digest === undefined || manifest === digest).map(tagEntry);
  }
  if (digest === undefined) return [];
  const manifests = yield* all(trashedManifest, { repo, digest });
  const tags = yield* all(trashedTagsOf, { repo, manifest: digest });
  return [...manifests.map(manifestEntry), ...tags.map(tagEntry)];
}

interface TrashedManifest {
  readonly repo: RepositoryName;
  readonly digest: Digest;
  readonly media_type: string;
  readonly size_bytes: number;
  readonly trash_until: number | null;
}

function manifestEntry({ repo, digest, media_type, size_bytes, trash_until }: TrashedManifest): TrashEntry {
  return { kind: 'manifest', repo, digest, mediaType: media_type, sizeBytes: size_bytes, until: trash_until ?? 0 };
}

function tagEntry({ repo, name, manifest, trashed_at, purge_after }: TagTrashTable): TrashEntry {
  return { kind: 'tag', repo, tag: name, digest: manifest, deletedAt: trashed_at, until: purge_after };
}

/** Ends the time of things in the trash. @returns those that had not been restored meanwhile */
export function* endWindows(
  entries: readonly TrashEntry[],
  now: number,
  actor: Actor,
  reason?: string,
): Operation<readonly TrashEntry[]> {
  const because = reason === undefined ? {} : { reason };
  const ended: TrashEntry[] = [];
  for (const entry of entries) {
    const { repo, digest } = entry;
    const rows =
      entry.kind === 'tag'
        ? yield* change(endTagTrash, { repo, name: entry.tag, manifest: digest, now })
        : yield* change(endManifestTrash, { repo, digest, now });
    // It was restored meanwhile.
    if (rows === 0) continue;
    ended.push(entry);
    yield* recordEvent(
      entry.kind === 'tag'
        ? { at: now, kind: 'tag.emptied', repo, digest, tag: entry.tag, actor, ...because }
        : { at: now, kind: 'manifest.emptied', repo, digest, actor, ...because },
    );
  }
  for (const { repo, digest } of ended) yield* reviewManifest(repo, digest, now);
  return ended;
}
