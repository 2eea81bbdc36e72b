import type { Digest } from '../oci/digest.ts';
import type { TagName } from '../oci/names.ts';

/** What there is to know of one repository, as of one moment. Times are milliseconds since 1970. */
export interface RepositoryFacts {
  readonly tags: readonly TagFacts[];
  /** Manifests under no tag. */
  readonly untagged: readonly UntaggedFacts[];
}

export interface TagFacts extends ItemFacts {
  readonly kind: 'tag';
  readonly name: TagName;
}

export interface UntaggedFacts extends ItemFacts {
  readonly kind: 'untagged';
  /** When the last tag, index or subject that held it went; null where it never had one. */
  readonly untaggedAt: number | null;
}

/** Something that retention decides about: a tag, or a manifest that is under none. */
export type Item = TagFacts | UntaggedFacts;

interface ItemFacts {
  /** Of the manifest that the tag leads to. */
  readonly digest: Digest;
  /**
   * When the tag, or the manifest by its digest, was last pushed. A HEAD by a client that may push counts as a push,
   * because it stands for one that would have changed nothing (R22). Null where it is not known: then it stays.
   */
  readonly pushedAt: number | null;
  /** When the tag came to lead to this manifest, on whatever digest; null where it is not known, or never was tagged. */
  readonly taggedAt: number | null;
  /**
   * The last pull that counts: by the tag, by the digest, or of a child of the index that it leads to. A HEAD counts
   * where the policy counts heads, a pull by somebody whose pulls it ignores does not (see pulls.ts). Null for never.
   */
  readonly pulledAt: number | null;
  readonly mediaType: string;
  /** The artifact type of the manifest, else the media type of its config where that says what it is. */
  readonly artifactType: string | null;
  /** Of the image's config; for an index, those that all of its children have alike. */
  readonly labels: Readonly<Record<string, string>>;
  /** Of the manifest. */
  readonly annotations: Readonly<Record<string, string>>;
  /** Whether a signature is there: a referrer of the kind, or a tag about the manifest. */
  readonly isSigned: boolean;
  /** Bytes of the closure, each content counted once; null where they are not known. */
  readonly sizeBytes: number | null;
  /**
   * The closure: the blobs of the manifest, of its children and of its referrers. One object stands for one digest
   * wherever it occurs in the repository, or at least has the same size everywhere.
   */
  readonly contents: readonly Content[];
  /** Whether the tag, the manifest or the repository is pinned. */
  readonly isPinned: boolean;
  /** The rule by which it can be neither overwritten nor deleted; undefined where there is none. */
  readonly immutableBy?: string | undefined;
  /** What it goes with, so that no rule selects it: an index that lists it, or the subject that it is about. */
  readonly follows: 'index' | 'subject' | null;
}

export interface Content {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** The tag, or the digest. */
export function nameOf(item: Item): string {
  return item.kind === 'tag' ? item.name : item.digest;
}

/** Since when it is as old as it is: the last time that it was pushed or tagged. Null where that is not known. */
export function bornAt({ pushedAt, taggedAt }: Item): number | null {
  return pushedAt === null ? null : Math.max(pushedAt, taggedAt ?? pushedAt);
}

/** The last time that it was of use: pulled, or pushed or tagged for the first pull. Null where that is not known. */
export function usedAt(item: Item): number | null {
  const born = bornAt(item);
  return born === null ? null : Math.max(born, item.pulledAt ?? born);
}

/** Settles the order of two at the same time: the greater name is taken for the later. */
export function laterNameFirst(one: Item, other: Item): number {
  const [oneName, otherName] = [nameOf(one), nameOf(other)];
  if (oneName === otherName) return 0;
  return oneName < otherName ? 1 : -1;
}
