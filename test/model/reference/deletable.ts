import type { Digest } from '../../../src/oci/digest.ts';
import type { RepositoryName } from '../../../src/oci/names.ts';
import type { Reference } from './reference.ts';

/** Something that clients can see and delete, but for what pins say. */
export interface Deletable {
  readonly repo: RepositoryName;
  readonly what: 'manifest' | 'blob';
  readonly digest: Digest;
}

/** The manifests that no visible index lists, and the blobs that no visible manifest needs. */
export function deletableOf(model: Reference): readonly Deletable[] {
  const found: Deletable[] = [];
  for (const [repo, { manifests, links }] of model.repositories) {
    const visible = [...manifests.values()].filter(({ trashUntil }) => trashUntil === undefined);
    for (const { known } of visible) {
      const { digest } = known;
      if (!visible.some(({ heldChildren }) => heldChildren.has(digest))) found.push({ repo, what: 'manifest', digest });
    }
    for (const [digest, { isHidden }] of links) {
      const isNeeded = visible.some(({ heldBlobs }) => heldBlobs.has(digest));
      if (!isHidden && !isNeeded) found.push({ repo, what: 'blob', digest });
    }
  }
  return found;
}
