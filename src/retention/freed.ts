import type { Digest } from '../oci/digest.ts';
import type { Content } from './facts.ts';

/** What removing some items would give back. */
export interface Freed {
  readonly sizeBytes: number;
  readonly blobs: number;
}

/**
 * What removing a set of items frees, to the byte: each content once, and only what nothing else holds.
 *
 * @param holdersOutside how many hold a content that are not in the set: tags and untagged manifests that stay, in this
 *   and in any other repository, and whatever else keeps it for good; it is asked once for each digest
 */
export function freedBytes(
  set: readonly { readonly contents: readonly Content[] }[],
  holdersOutside: (digest: Digest) => number,
): Freed {
  return freedOneByOne(set, holdersOutside).reduce(
    (sum, { sizeBytes, blobs }) => ({ sizeBytes: sum.sizeBytes + sizeBytes, blobs: sum.blobs + blobs }),
    { sizeBytes: 0, blobs: 0 },
  );
}

/**
 * What each of a set of items frees when they are removed one after the other: content that several of them have is
 * freed by the last. So the sum of the first few is what removing just these would free.
 */
export function freedOneByOne(
  set: readonly { readonly contents: readonly Content[] }[],
  holdersOutside: (digest: Digest) => number,
): readonly Freed[] {
  const holders = new Map<Digest, number>();
  for (const { contents } of set) {
    for (const digest of digestsOf(contents)) {
      holders.set(digest, (holders.get(digest) ?? holdersOutside(digest)) + 1);
    }
  }
  return set.map(({ contents }) => {
    let [sizeBytes, blobs] = [0, 0];
    const seen = new Set<Digest>();
    for (const content of contents) {
      if (seen.has(content.digest)) continue;
      seen.add(content.digest);
      const left = (holders.get(content.digest) ?? 0) - 1;
      holders.set(content.digest, left);
      if (left > 0) continue;
      sizeBytes += content.sizeBytes;
      blobs += 1;
    }
    return { sizeBytes, blobs };
  });
}

function digestsOf(contents: readonly Content[]): ReadonlySet<Digest> {
  return new Set(contents.map(({ digest }) => digest));
}
