import { all, first, type Operation } from '../metadata/operation.ts';
import { referrersOf } from '../metadata/queries/manifests.ts';
import { findRepository, listRepositories } from '../metadata/queries/repositories.ts';
import { listTags } from '../metadata/queries/tags.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName, TagName } from '../oci/names.ts';
import type { Registry } from './registry.ts';

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

/** The repositories in which a client can see something, in byte order. */
export async function repositoryPage(registry: Registry, page: PageRequest): Promise<Page<RepositoryName>> {
  const rows = await registry.metadata.read(() => all(listRepositories, { last: page.last, limit: page.limit + 1 }));
  return pageOf(
    rows.map((row) => row.name),
    page.limit,
  );
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
