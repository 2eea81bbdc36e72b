import { describeDigestProblem, type Digest, parseDigest } from './digest.ts';
import { describeTagNameProblem, parseTagName, type TagName } from './names.ts';

/** What a manifest is asked for by: the spec's `<tag-or-digest>`. */
export type Reference =
  { readonly kind: 'tag'; readonly tag: TagName } | { readonly kind: 'digest'; readonly digest: Digest };

export type ReferenceParse =
  | { readonly ok: true; readonly reference: Reference }
  | { readonly ok: false; readonly code: 'DIGEST_INVALID' | 'MANIFEST_INVALID'; readonly message: string };

/**
 * Reads the spec's `<tag-or-digest>` (spec.md, "Pulling manifests"). What has a colon is meant as a digest, since no tag
 * may have one. The spec has no code of its own for a malformed tag: MANIFEST_INVALID is the nearest.
 */
export function parseReference(text: string): ReferenceParse {
  if (text.includes(':')) {
    const digest = parseDigest(text);
    if (digest === undefined) return { ok: false, code: 'DIGEST_INVALID', message: describeDigestProblem(text) };
    return { ok: true, reference: { kind: 'digest', digest } };
  }
  const tag = parseTagName(text);
  if (tag === undefined) return { ok: false, code: 'MANIFEST_INVALID', message: describeTagNameProblem(text) };
  return { ok: true, reference: { kind: 'tag', tag } };
}
