import { all, first, type Operation } from '../../metadata/operation.ts';
import { manifestText, referrersAmong } from '../../metadata/queries/purge-plan.ts';
import { repositoriesAfter } from '../../metadata/queries/usage.ts';
import type { Digest } from '../../oci/digest.ts';
import { parseManifest } from '../../oci/manifest.ts';
import type { RepositoryName } from '../../oci/names.ts';

/** Repositories that one statement asks. */
const repositoriesPerStep = 500;

export interface PlacedManifest {
  readonly repo: RepositoryName;
  readonly digest: Digest;
}

/**
 * The manifests of all repositories that have a digest as their subject and its content in themselves, as the `data` of
 * that descriptor: a subject is no edge, so nothing else finds them. Each repository is asked.
 */
export function* manifestsEmbedding(subject: Digest): Operation<readonly PlacedManifest[]> {
  const found: PlacedManifest[] = [];
  for (let after = ''; ;) {
    const repos = (yield* all(repositoriesAfter, { after, limit: repositoriesPerStep })).map(({ name }) => name);
    found.push(...(yield* embeddingAmong(yield* all(referrersAmong, { subject, repos }))));
    const last = repos.at(-1);
    if (last === undefined || repos.length < repositoriesPerStep) return found;
    after = last;
  }
}

/** Those of some manifests that have their subject in themselves. One is read at a time: each may be large. */
export function* embeddingAmong(manifests: readonly PlacedManifest[]): Operation<readonly PlacedManifest[]> {
  const embedding: PlacedManifest[] = [];
  for (const { repo, digest } of manifests) {
    const row = yield* first(manifestText, { repo, digest });
    const parsed = row === undefined ? undefined : parseManifest(row.bytes, row.media_type);
    if (parsed?.ok === true && parsed.manifest.embeddedSubject !== undefined) embedding.push({ repo, digest });
  }
  return embedding;
}
