import { digestOf } from '../../src/oci/digest.ts';
import type { RepositoryName } from '../../src/oci/names.ts';
import { findBlob } from '../../src/registry/blob.ts';
import { getManifest } from '../../src/registry/manifests/get.ts';
import { Broken } from './broken.ts';
import type { Reference } from './reference/reference.ts';
import { blobs, manifests, repositories, tags } from './universe.ts';
import type { World } from './world.ts';

/** Everything that clients may see is there in full, and nothing else is. */
export async function checkClients(world: World, model: Reference): Promise<void> {
  const { onlooker } = world;
  for (const repo of repositories) {
    for (const { digest, bytes, name } of manifests) {
      const found = await getManifest(onlooker, repo, { kind: 'digest', digest });
      if ((found !== undefined) !== model.sees(repo, digest)) {
        throw new Broken(`${name} is ${found === undefined ? 'not found' : 'found'} in ${repo}`);
      }
      if (found !== undefined && Buffer.compare(found.bytes, bytes) !== 0) throw new Broken(`${name} has changed`);
    }
    for (const tag of tags) {
      const found = await getManifest(onlooker, repo, { kind: 'tag', tag });
      if (found?.digest !== model.target(repo, tag)) throw new Broken(`tag ${tag} leads elsewhere in ${repo}`);
    }
    for (const { digest, name } of blobs) {
      const found = await findBlob(onlooker, repo, digest);
      if ((found.outcome === 'found') !== model.seesBlob(repo, digest)) {
        throw new Broken(`${name} is ${found.outcome} in ${repo}`);
      }
      if (found.outcome !== 'found') continue;
      const bytes = await onlooker.blobs.read(found.oid).bytes();
      if (digestOf('sha256', bytes) !== digest) throw new Broken(`${name} has other bytes in ${repo}`);
    }
    checkWhole(model, repo);
  }
}

/** Whatever can be pulled can be pulled with all that it holds. */
function checkWhole(model: Reference, repo: RepositoryName): void {
  for (const { known, trashUntil, heldBlobs, heldChildren } of model.in(repo).manifests.values()) {
    if (trashUntil !== undefined) continue;
    const isWhole =
      [...heldBlobs].every((digest) => model.seesBlob(repo, digest)) &&
      [...heldChildren].every((digest) => model.sees(repo, digest));
    if (!isWhole) throw new Broken(`${known.name} cannot be pulled in full from ${repo}`);
  }
}
