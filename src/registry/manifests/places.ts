import { all, type Operation } from '../../metadata/operation.ts';
import { manifestAmong, repositoriesAfter } from '../../metadata/queries/usage.ts';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/names.ts';

/** Repositories that one statement asks. */
const repositoriesPerStep = 500;

/** In which repositories a manifest is, visible or in the trash: manifests are found by their repository, so it asks each. */
export function* repositoriesWithManifest(digest: Digest): Operation<readonly RepositoryName[]> {
  const found: RepositoryName[] = [];
  for (let after = ''; ;) {
    const repos = (yield* all(repositoriesAfter, { after, limit: repositoriesPerStep })).map(({ name }) => name);
    for (const { repo } of yield* all(manifestAmong, { digest, repos })) found.push(repo);
    const last = repos.at(-1);
    if (last === undefined || repos.length < repositoriesPerStep) return found;
    after = last;
  }
}
