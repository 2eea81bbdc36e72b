import type { Expression, RawBuilder } from 'kysely';

/** A query whose rows can be locked. */
export interface Lockable<O> extends Expression<O> {
  forUpdate(): { skipLocked(): Expression<O> };
}

/** A query of manifests, and of what belongs to them, whose rows of manifests can be locked. */
export interface LockableManifests<O> extends Expression<O> {
  forUpdate(of: 'manifest'): Expression<O>;
}

/**
 * What the databases write differently. Queries are built once for each dialect with the help of these few words;
 * everything else is SQL that all of them understand.
 */
export interface Dialect {
  readonly name: 'sqlite' | 'postgres';
  /** `column` is one of the texts of the list bound to `list` (one parameter, whatever its length). */
  isOneOf(column: Expression<string>, list: Expression<readonly string[]>): RawBuilder<boolean>;
  /** One row for each text of the list bound to `list`, in a column named `value`. */
  rowsOf(list: Expression<readonly string[]>): RawBuilder<{ value: string }>;
  /** A query whose rows are locked for whoever runs it, but for those that somebody else has locked. */
  skippingLocked<O>(rows: Lockable<O>): Expression<O>;
  /** A query whose manifests are locked for whoever runs it before anything is done with what it finds. */
  lockingManifests<O>(rows: LockableManifests<O>): Expression<O>;
  greatest<T extends number | null>(a: Expression<T>, b: Expression<T>): RawBuilder<T>;
  least<T extends number | null>(a: Expression<T>, b: Expression<T>): RawBuilder<T>;
}
