import type { Target } from '../../../src/oci/target.ts';
import type { Reference } from './reference.ts';

/** Something in the trash, and until when. */
export interface InTrash extends Target {
  readonly until: number;
}

/** Everything that is in the trash. */
export function trashOf(model: Reference): readonly InTrash[] {
  const found: InTrash[] = [];
  for (const [repo, { manifests, trashedTags }] of model.repositories) {
    for (const [digest, { trashUntil }] of manifests) {
      if (trashUntil !== undefined) found.push({ repo, tag: undefined, digest, until: trashUntil });
    }
    for (const { tag, manifest: digest, until } of trashedTags.values()) found.push({ repo, tag, digest, until });
  }
  return found;
}
