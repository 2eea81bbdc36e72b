import type { PoliciesDocument } from './policies-document.ts';

/** Where a value comes from; a later kind wins over an earlier one. */
export type SourceKind = 'default' | 'file' | 'environment' | 'flag';

/** A value as it was found, not yet parsed: a text, or a list in the file. */
export interface FoundValue {
  /** The name of a setting or of a shorthand. */
  readonly name: string;
  readonly value: string | readonly string[];
  readonly kind: SourceKind;
  /** For a person: `wherry.yaml:3`, `WHERRY_LISTEN in the environment`, `--listen`. */
  readonly where: string;
}

/** What one source sets, and what is wrong with it before any value is looked at. */
export interface SourceReading {
  readonly found: readonly FoundValue[];
  readonly problems: readonly string[];
  /** Retention policies, which only a file can hold. */
  readonly policies?: PoliciesDocument;
  /** Quotas, the same. */
  readonly quotas?: PoliciesDocument;
  /** Who may do what, the same. */
  readonly access?: PoliciesDocument;
  /** Who is in which group, the same. */
  readonly groups?: PoliciesDocument;
  /** Whose tokens are believed, the same. */
  readonly issuers?: PoliciesDocument;
  /** What cannot be overwritten or deleted, the same. */
  readonly immutable?: PoliciesDocument;
}
