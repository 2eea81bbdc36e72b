import { type Digest, parseDigest } from './digest.ts';
import { parseTagName, type TagName } from './names.ts';

/** What the tags of signatures and the like end in that were made before there were referrers; '' is the referrers tag. */
export const suffixesOfTagsAbout = ['', '.sig', '.att', '.sbom'];

/** The tags by which older clients keep what belongs to a manifest: `sha256-….sig` and the like. */
export function tagsAbout(digest: Digest): readonly TagName[] {
  const base = digest.replace(':', '-');
  return suffixesOfTagsAbout.flatMap((suffix) => parseTagName(base + suffix) ?? []);
}

/** The manifest that such a tag is about; undefined for any other tag. */
export function subjectOfTag(name: TagName): Digest | undefined {
  const base = name.replace(/\.(?:sig|att|sbom)$/, '');
  return parseDigest(base.replace('-', ':'));
}
