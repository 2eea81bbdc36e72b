import { z } from 'zod';
import { describeDigestProblem, type Digest, digestGrammar, parseDigest } from '../../oci/digest.ts';
import { target } from './endpoint.ts';

/** So many digests or images at once, at most. */
export const mostAtOnce = 1000;
/** A body may name as many. */
export const maxBodyBytes = 512 * 1024;

export const digest = z
  .string()
  .meta({ description: 'The digest of a blob or a manifest', pattern: `^(${digestGrammar})$` })
  .transform((text, context): Digest => {
    const parsed = parseDigest(text);
    if (parsed !== undefined) return parsed;
    context.addIssue({ code: 'custom', message: describeDigestProblem(text) });
    return z.NEVER;
  });

/** A tag or a manifest: a repository alone is no image. */
const image = target.refine(({ tag, digest: named }) => tag !== undefined || named !== undefined, {
  message: 'name an image by its tag or digest, REPO:TAG or REPO@DIGEST',
});

/** What a request names that is to be purged. */
export const named = {
  digests: z.array(digest).max(mostAtOnce).default([]),
  /** Of each, its manifest, and what nothing else needs: its config and layers, and of an index all that it lists. */
  images: z.array(image).max(mostAtOnce).default([]),
  /** Also what something else needs of the images. */
  shared: z.boolean().default(false),
};

/** A digest is purged whatever needs it: there is nothing to be shared. */
export function isSharedOfImages({ shared, images }: { shared: boolean; images: readonly unknown[] }): boolean {
  return !shared || images.length > 0;
}

export const sharedOfNothing = {
  path: ['shared'],
  message: 'it is about what images share with others: name an image; a digest is purged whatever needs it',
};
