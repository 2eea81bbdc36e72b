import { describeDigestProblem, isDigestAlgorithm, parseDigest } from '../oci/digest.ts';
import { quote } from '../oci/quote.ts';
import { parseTarget } from '../oci/target.ts';

/** What is wrong with what a purge shall take, in words that say what to write instead; undefined where nothing is. */
export function namingProblem(digests: readonly string[], image: unknown): string | undefined {
  for (const text of digests) {
    if (parseDigest(text) === undefined) return digestProblem(text);
  }
  return typeof image === 'string' ? imageProblem(image) : undefined;
}

function digestProblem(text: string): string {
  const [algorithm = ''] = text.split(':');
  if (!isDigestAlgorithm(algorithm.toLowerCase())) {
    const image = parseTarget(text);
    const isImage = image.ok && (image.target.tag !== undefined || image.target.digest !== undefined);
    if (isImage) return `${quote(text)} names an image: purge it with --manifest ${text}`;
  }
  return describeDigestProblem(text);
}

function imageProblem(text: string): string | undefined {
  if (parseDigest(text) !== undefined) {
    return `--manifest names an image of a repository, REPO@${text}; without --manifest the digest is purged wherever it is`;
  }
  const image = parseTarget(text);
  if (!image.ok) return `--manifest: ${image.message}`;
  const { tag, digest } = image.target;
  return tag === undefined && digest === undefined
    ? `${quote(text)} is a repository: name an image of it, ${text}:TAG or ${text}@DIGEST`
    : undefined;
}
