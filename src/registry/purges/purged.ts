import { first, type Operation } from '../../metadata/operation.ts';
import { blockedDigest } from '../../metadata/queries/objects.ts';
import { quarantineOfManifest, quarantineOfTag } from '../../metadata/queries/purge-quarantine.ts';
import { anyPlaceInRepository } from '../../metadata/queries/purged-places.ts';
import { anyUnfinishedPurge } from '../../metadata/queries/purges.ts';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/names.ts';
import type { Reference } from '../../oci/reference.ts';
import type { Registry } from '../registry.ts';

/** Why something is not here, and not let in: what a client is told that may ask. */
export interface Purged {
  readonly digest: Digest;
  /** The record; undefined where there is none. */
  readonly purge: number | undefined;
  /** In ms since 1970. */
  readonly at: number;
  readonly reason: string;
}

interface BlockedRow {
  readonly digest: Digest;
  readonly purge: number | null;
  readonly blocked_at: number;
  readonly reason: string;
}

export function purgedBy({ digest, purge, blocked_at: at, reason }: BlockedRow): Purged {
  return { digest, purge: purge ?? undefined, at, reason };
}

/** Whether a digest is kept out of every repository. */
export function* purgedDigest(digest: Digest): Operation<Purged | undefined> {
  const row = yield* first(blockedDigest, { digest });
  return row === undefined ? undefined : purgedBy(row);
}

/** Whether a purge has found what was asked for in a repository: whoever may pull there may be told what it was about. */
export async function wasPurgedFrom(
  { metadata }: Registry,
  repo: RepositoryName,
  { purge, digest }: Pick<Purged, 'purge' | 'digest'>,
): Promise<boolean> {
  if (purge === undefined) return false;
  return (await metadata.read(() => first(anyPlaceInRepository, { purge, repo, digest }))) !== undefined;
}

/**
 * Whether a purge that keeps a digest out may still be removing its bytes: it breaks off those who read them before it
 * does, and may have to overwrite them. While any purge is not finished, it may be this one.
 */
export function* isBeingPurged(digest: Digest): Operation<boolean> {
  if ((yield* first(blockedDigest, { digest })) === undefined) return false;
  return (yield* first(anyUnfinishedPurge, {})) !== undefined;
}

/**
 * Whether what a reference would lead to was purged: a manifest that is kept out itself, or one in quarantine because it
 * needs what is. A tag tells so until it leads to something else. Asked only when there is nothing to be found.
 */
export function* purgedReference(repo: RepositoryName, reference: Reference): Operation<Purged | undefined> {
  if (reference.kind === 'tag') {
    const row = yield* first(quarantineOfTag, { repo, tag: reference.tag });
    if (row === undefined || row.digest === '') return undefined;
    return { digest: row.digest, purge: row.id, at: row.at, reason: row.reason };
  }
  const { digest } = reference;
  const kept = yield* purgedDigest(digest);
  if (kept !== undefined) return kept;
  const row = yield* first(quarantineOfManifest, { repo, digest });
  return row === undefined ? undefined : { digest, purge: row.id, at: row.at, reason: row.reason };
}
