import { all, first, type Operation } from '../metadata/operation.ts';
import { referrersOf } from '../metadata/queries/manifests.ts';
import { findRepository, listRepositories } from '../metadata/queries/repositories.ts';
import { listTags } from '../metadata/queries/tags.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName, TagName } from '../oci/names.ts';
import type { Registry } from './registry.ts';
import { namesBeginningWith, type Sight } from './sight.ts';

/** Some of a sorted list. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Whether more come after the last of them. */
  readonly more: boolean;
}

/** Where a page starts (after `last`, which need not exist) and how many items it has at most. */
export interface PageRequest {
  readonly last: string;
  readonly limit: number;
}

/** The tags of a repository in byte order; undefined where there is no such repository. */
export async function tagPage(
  registry: Registry,
  repo: RepositoryName,
  page: PageRequest,
): Promise<Page<TagName> | undefined> {
  return await registry.metadata.read(function* tags(): Operation<Page<TagName> | undefined> {
    if ((yield* first(findRepository, { repo })) === undefined) return undefined;
    const rows = yield* all(listTags, { repo, last: page.last, limit: page.limit + 1 });
    return pageOf(
      rows.map((row) => row.name),
      page.limit,
    );
  });
}

/** Some of the repositories, and from where to go on. */
export interface RepositoryPage {
  readonly items: readonly RepositoryName[];
  /**
   * The last one that was looked at, where there may be more: which need not be one that may be seen. Undefined at the
   * end.
   */
  readonly reached: RepositoryName | undefined;
}

/** One request looks at no more repositories than this, and a transaction at no more than that. */
const mostLookedAt = 10_000;
const lookedAtOnce = 1000;

/** The repositories in which a client can see something, in byte order. @param sight undefined: all of them */
export async function repositoryPage(
  registry: Registry,
  { last, limit }: PageRequest,
  sight: Sight = { maySee: () => true, starts: [''] },
): Promise<RepositoryPage> {
  const items: RepositoryName[] = [];
  if (limit === 0) return { items, reached: undefined };
  let lookedAt = 0;
  let reached: string = last;
  for (const start of sight.starts) {
    const { last: least, before } = namesBeginningWith(start);
    for (let from = later(reached, least); from < before;) {
      const most = Math.min(lookedAtOnce, mostLookedAt - lookedAt, Math.max(limit - items.length + 1, 100));
      const rows = await registry.metadata.read(() => all(listRepositories, { last: from, before, limit: most }));
      for (const { name } of rows) {
        reached = from = name;
        if (!sight.maySee(name)) continue;
        if (items.length === limit) return { items, reached: items.at(-1) };
        items.push(name);
      }
      lookedAt += rows.length;
      if (lookedAt >= mostLookedAt) return { items, reached: rows.at(-1)?.name };
      if (rows.length < most) break;
    }
  }
  return { items, reached: undefined };
}

function later(one: string, other: string): string {
  return one > other ? one : other;
}

export interface Referrer {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
  readonly artifactType: string | undefined;
  /** As JSON. */
  readonly annotations: string | undefined;
}

export interface ReferrersRequest extends PageRequest {
  readonly repo: RepositoryName;
  readonly subject: Digest;
  readonly artifactType: string | undefined;
}

/** The visible manifests whose subject is a digest, which itself need not exist, in the order of their digests. */
export async function referrersPage(registry: Registry, request: ReferrersRequest): Promise<Page<Referrer>> {
  const rows = await registry.metadata.read(() =>
    all(referrersOf, {
      repo: request.repo,
      subject: request.subject,
      artifactType: request.artifactType ?? null,
      last: request.last,
      limit: request.limit + 1,
    }),
  );
  return pageOf(
    rows.map((row) => ({
      digest: row.digest,
      mediaType: row.media_type,
      sizeBytes: row.size_bytes,
      artifactType: row.artifact_type ?? undefined,
      annotations: row.annotations ?? undefined,
    })),
    request.limit,
  );
}

function pageOf<T>(items: readonly T[], limit: number): Page<T> {
  return { items: items.slice(0, limit), more: items.length > limit };
}
