import { all, first, type Operation } from '../metadata/operation.ts';
import { countManifestsNeedingBlob, manifestsNeedingBlob } from '../metadata/queries/find.ts';
import { manifestTimes, parentsOf } from '../metadata/queries/holds.ts';
import { trashedTagsOf } from '../metadata/queries/removals.ts';
import { manifestBytesAmong } from '../metadata/queries/retention.ts';
import { linksOf, tagsOf } from '../metadata/queries/usage.ts';
import type { Digest } from '../oci/digest.ts';
import { isJsonObject, parseJsonObject } from '../oci/json.ts';
import type { RepositoryName } from '../oci/names.ts';
import { targetText } from '../oci/target.ts';

/** How many repositories and images are named at most. */
const mostNamed = 20;
/** At so many manifests, and what lists them, it is looked for names. */
const mostLookedAt = 200;

/** An image that has a blob: a tag, or a manifest where no tag leads to it. */
export interface BlobUse {
  /** REPO:TAG or REPO@DIGEST. */
  readonly target: string;
  /** It was deleted, or the tag leads to something else by now; it can be restored. */
  readonly isInTrash: boolean;
}

export interface BlobUses {
  /** What a manifest that has it says; undefined where none does. */
  readonly mediaType: string | undefined;
  /** The first of those that have it, visible or not. */
  readonly repositories: readonly RepositoryName[];
  readonly repositoryCount: number;
  /** Some of them, directly or through an index. */
  readonly images: readonly BlobUse[];
  /** How many manifests need it, visible or in the trash. */
  readonly manifestCount: number;
}

/** What has a blob, visible or in the trash. */
export function* blobUses(digest: Digest): Operation<BlobUses> {
  const repositories = (yield* all(linksOf, { digest })).map(({ repo }) => repo);
  const needing = yield* all(manifestsNeedingBlob, { digest, limit: mostLookedAt });
  const count = yield* first(countManifestsNeedingBlob, { digest });
  return {
    mediaType: yield* mediaTypeOf(digest, needing[0]),
    repositories: repositories.slice(0, mostNamed),
    repositoryCount: repositories.length,
    images: yield* imagesWith(needing),
    manifestCount: count?.manifests ?? 0,
  };
}

interface Node {
  readonly repo: RepositoryName;
  readonly manifest: Digest;
}

/** Tags, and where a manifest is under none by itself or through an index, its digest. */
function* imagesWith(needing: readonly Node[]): Operation<readonly BlobUse[]> {
  const uses = new Map<string, BlobUse>();
  const add = (target: string, isInTrash: boolean): void => {
    if (uses.get(target)?.isInTrash !== false) uses.set(target, { target, isInTrash });
  };
  const visited = new Set<string>();
  const waiting = [...needing];
  for (let node = waiting.shift(); node !== undefined; node = waiting.shift()) {
    const { repo, manifest } = node;
    const name = targetText({ repo, tag: undefined, digest: manifest });
    if (visited.has(name)) continue;
    visited.add(name);
    if (uses.size >= mostNamed || visited.size > mostLookedAt) break;
    const row = yield* first(manifestTimes, { repo, digest: manifest });
    const tags = yield* all(tagsOf, { repo, manifest });
    const trashed = yield* all(trashedTagsOf, { repo, manifest });
    const parents = yield* all(parentsOf, { repo, child: manifest });
    for (const tag of tags) add(targetText({ repo, tag: tag.name, digest: undefined }), false);
    for (const tag of trashed) add(targetText({ repo, tag: tag.name, digest: undefined }), true);
    if (tags.length + trashed.length + parents.length === 0) add(name, row?.state !== 'live');
    waiting.push(...parents.map(({ parent }) => ({ repo, manifest: parent })));
  }
  return [...uses.values()].slice(0, mostNamed);
}

function* mediaTypeOf(digest: Digest, node: Node | undefined): Operation<string | undefined> {
  const row = node && (yield* first(manifestBytesAmong, { repo: node.repo, digests: [node.manifest] }));
  if (row === undefined) return undefined;
  const parsed = parseJsonObject(row.bytes);
  if (!parsed.ok) return undefined;
  for (const value of Object.values(parsed.object)) {
    for (const descriptor of Array.isArray(value) ? value : [value]) {
      if (!isJsonObject(descriptor) || descriptor['digest'] !== digest) continue;
      if (typeof descriptor['mediaType'] === 'string') return descriptor['mediaType'];
    }
  }
  return undefined;
}
