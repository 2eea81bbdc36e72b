import type { Digest } from '../../oci/digest.ts';
import type { TagName } from '../../oci/names.ts';
import type { Content } from '../facts.ts';

/** What is remembered of one repository. Times are milliseconds since 1970. */
export interface RepositoryHistory {
  readonly repo: string;
  /** Every manifest that was there at some time. */
  readonly manifests: ReadonlyMap<Digest, ManifestPast>;
  /** In the order in which it happened; from before the replay, too, so that it begins with what was there. */
  readonly happenings: readonly Happening[];
  /** In the order of their times. */
  readonly pulls: readonly DayOfPulls[];
  readonly isPinned: boolean;
  readonly pinnedTags: ReadonlySet<TagName>;
}

/** What a manifest is, or was. */
export interface ManifestPast {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly artifactType: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly subject: Digest | null;
  /** What it lists. */
  readonly children: readonly Digest[];
  /** Its own, each once. */
  readonly blobs: readonly Content[];
  readonly isPinned: boolean;
}

/**
 * A push or a removal; or a HEAD by a client that may push, which counts as a push of a tag that is there. Where it is
 * not, nobody knows whether the client would have pushed it.
 */
export interface Happening {
  readonly what: 'pushed' | 'asked' | 'removed';
  readonly at: number;
  /** Undefined for a manifest by its digest. */
  readonly tag: TagName | undefined;
  readonly digest: Digest;
}

/** The pulls of a manifest on a day. */
export interface DayOfPulls {
  readonly digest: Digest;
  /** Undefined for pulls by digest. */
  readonly tag: TagName | undefined;
  /** 0 where it is only known when the last one was. */
  readonly pulls: number;
  /** When the last one was. */
  readonly lastAt: number;
}
