/** What the checks look for, by the number under which docs/reliability.md describes it. */
export const findingCodes = [
  'F0',
  'F1',
  'F2',
  'F3',
  'F4',
  'F5',
  'F6',
  'F7',
  'F8',
  'F9',
  'F10',
  'F11',
  'F12',
  'F13',
  'F14',
  'F15',
  'F16',
] as const;

export type FindingCode = (typeof findingCodes)[number];

/**
 * `loss`: something that clients were promised is not there, or not protected. `leak`: something stays that nothing
 * will take away. `note`: worth knowing, and nothing is wrong with the registry.
 */
export type Severity = 'loss' | 'leak' | 'note';

/** What `--repair` does about a finding. Only leaks can be repaired: what is lost has to be pushed again. */
export type Repair =
  /** Bytes of no object. */
  | { readonly kind: 'remove-stray'; readonly place: string }
  /** Bytes that a restored database does not know: it is told of them, so that they stay for a while. */
  | {
      readonly kind: 'adopt-bytes';
      readonly oid: string;
      readonly digest: string;
      readonly sizeBytes: number;
      readonly looks: string;
    }
  /** An upload that the blob store has begun and nothing will finish. */
  | { readonly kind: 'abort-upload'; readonly place: string; readonly id: string }
  | { readonly kind: 'review'; readonly task: ReviewKey }
  /** An object that was to be uploaded, and whose upload is gone. */
  | { readonly kind: 'drop-object'; readonly oid: string }
  /** The blobs as they are count as those of the database from now on. */
  | { readonly kind: 'settle-generation'; readonly generation: number }
  /** What a quota limits is counted anew. */
  | { readonly kind: 'recount-quota'; readonly quota: number }
  /** What is counted as it comes and goes is counted anew. */
  | { readonly kind: 'recount-stored' };

/** What the review queue knows a thing by. */
export interface ReviewKey {
  readonly kind: 'manifest' | 'link' | 'object' | 'upload';
  readonly key1: string;
  readonly key2: string;
}

/** Something that is not as it must be. */
export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  /** What it is about: `object <oid>`, `repo@digest`, `repo:tag`, a path or URL. */
  readonly about: string;
  /** What is wrong, and what to do about it. */
  readonly message: string;
  readonly advice: string;
  /** The images that cannot be pulled because of it, as `repo:tag`, or `repo@digest` where there is no tag. */
  readonly breaks?: readonly string[];
  readonly repair?: Repair;
  /** What a restored database has to know before it may be accepted: once it is, nothing protects what it does not know. */
  readonly isToBeAdopted?: true;
}

/** A finding, and what was done about it. */
export interface Reported extends Finding {
  /** Whether `--repair` takes it away. */
  readonly isRepairable: boolean;
  readonly isRepaired: boolean;
}

/** Whether two looks have found the same. */
export function isSameFinding(one: Finding, other: Finding): boolean {
  return one.code === other.code && one.about === other.about && one.severity === other.severity;
}
