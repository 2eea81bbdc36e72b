import type { Operation } from '../metadata/operation.ts';
import type { Begun } from '../metadata/store.ts';
import type { RepositoryName } from '../oci/names.ts';

/** What a quota allows of one thing: above `soft` clients are warned, above `hard` pushes are refused. */
export interface QuotaLimits {
  readonly soft: number | undefined;
  readonly hard: number | undefined;
}

/** A quota, as far as the operations need to know it. */
export interface Quota {
  /** Of what is counted of it: another one whenever that begins anew. */
  readonly number: number;
  readonly name: string;
  /** Whether it is for each of its repositories by itself; else it is for all of them together. */
  readonly isEach: boolean;
  /** Globs: what it is for, but for those that other quotas before it have taken. */
  readonly repositories: readonly { readonly source: string }[];
  /** Of contents, each counted once. */
  readonly bytes: QuotaLimits;
  readonly tags: QuotaLimits;
}

/** Which quota a repository is under. */
export interface Quotas {
  of(repo: RepositoryName): Quota | undefined;
}

/**
 * The quotas of the process that has started last, whatever this one was started with: by those all count, as each adds to
 * what others have counted. Another process may start at any time, so whoever counts asks in its own transaction.
 */
export interface QuotasInForce extends Quotas {
  /** As far as this process knows: for what nothing is counted by. */
  of(repo: RepositoryName): Quota | undefined;
  /**
   * Those that a transaction sees. Takes a statement only where they are others than this process knows.
   *
   * @param begun of the transaction, where it has looked
   */
  at(begun?: Begun): Operation<Quotas>;
}

/** A registry that limits nobody, and so counts nothing. */
export const noQuotas: QuotasInForce = {
  of: () => undefined,
  *at() {
    yield* [];
    return noQuotas;
  },
};

/** What is limited. */
export type QuotaKind = 'bytes' | 'tags';

/** Why something is refused. */
export interface OverQuota {
  readonly quota: string;
  readonly kind: QuotaKind;
  readonly used: number;
  readonly limit: number;
  /** What the refused request would have added; undefined where its size is not known yet. */
  readonly wanted: number | undefined;
  /** Whether nothing was refused since something of the kind has gone: then it is written down. */
  readonly isFirst: boolean;
}

/** A soft limit that is exceeded. */
export interface QuotaWarning {
  readonly quota: string;
  readonly kind: QuotaKind;
  readonly soft: number;
  readonly hard: number | undefined;
}

/** Whether something may come, as far as quotas go. */
export type Admission =
  | { readonly outcome: 'admitted'; readonly warnings: readonly QuotaWarning[] }
  | { readonly outcome: 'over-quota'; readonly over: OverQuota };
