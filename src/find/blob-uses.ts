import { all, first, type Operation } from '../metadata/operation.ts';
import { someParentsOf, someTagsOf, someTrashedTagsOf } from '../metadata/queries/find.ts';
import { manifestTimes } from '../metadata/queries/holds.ts';
import { linksAfter, manifestsHoldingAfter } from '../metadata/queries/purge-plan.ts';
import { manifestBytesAmong } from '../metadata/queries/retention.ts';
import type { MetadataStore } from '../metadata/store.ts';
import type { Digest } from '../oci/digest.ts';
import { isJsonObject, parseJsonObject } from '../oci/json.ts';
import type { RepositoryName } from '../oci/names.ts';
import { targetText } from '../oci/target.ts';

/** How many repositories and images are named at most. */
const mostNamed = 20;
/** At so many manifests, and what lists them, it is looked for names. */
const mostLookedAt = 200;
/** Each of them may have to be compared with a hundred patterns. */
const repositoriesInPage = 200;
const manifestsInPage = 1000;

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

/** What has a blob, visible or in the trash. However much that is, it is counted a page in a turn of the event loop. */
export async function blobUses(metadata: Pick<MetadataStore, 'read'>, digest: Digest): Promise<BlobUses> {
  const repositories: RepositoryName[] = [];
  let repositoryCount = 0;
  for await (const page of pagesOfRepositories(metadata, digest)) {
    repositories.push(...page.slice(0, mostNamed - repositories.length));
    repositoryCount += page.length;
  }
  const needing: Node[] = [];
  let manifestCount = 0;
  for await (const page of pagesOfManifests(metadata, digest)) {
    needing.push(...page.slice(0, mostLookedAt - needing.length));
    manifestCount += page.length;
  }
  const named = await metadata.read(function* () {
    return { mediaType: yield* mediaTypeOf(digest, needing[0]), images: yield* imagesWith(needing) };
  });
  return { ...named, repositories, repositoryCount, manifestCount };
}

/** The repositories that have a blob, visible or not, in byte order; a turn of the event loop for each page. */
export async function* pagesOfRepositories(
  metadata: Pick<MetadataStore, 'read'>,
  digest: Digest,
): AsyncGenerator<readonly RepositoryName[], void, undefined> {
  for (let after: string | undefined = ''; after !== undefined;) {
    const page = await metadata.read(() => all(linksAfter, { digest, after: after ?? '', limit: repositoriesInPage }));
    yield page.map(({ repo }) => repo);
    after = page.length < repositoriesInPage ? undefined : page.at(-1)?.repo;
    await new Promise(setImmediate);
  }
}

async function* pagesOfManifests(
  metadata: Pick<MetadataStore, 'read'>,
  digest: Digest,
): AsyncGenerator<readonly Node[], void, undefined> {
  const beforeAll = { repo: '', manifest: '' };
  for (let after: typeof beforeAll | undefined = beforeAll; after !== undefined;) {
    const page: readonly Node[] = await metadata.read(() =>
      all(manifestsHoldingAfter, { digest, limit: manifestsInPage, ...(after ?? beforeAll) }),
    );
    yield page;
    after = page.length < manifestsInPage ? undefined : page.at(-1);
    await new Promise(setImmediate);
  }
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
    const some = { repo, manifest, limit: mostNamed };
    const tags = yield* all(someTagsOf, some);
    const trashed = yield* all(someTrashedTagsOf, some);
    const parents = yield* all(someParentsOf, some);
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
