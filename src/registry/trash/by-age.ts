import { all, type Operation } from '../../metadata/operation.ts';
import { trashedManifestsByEnd, trashedTagsByEnd } from '../../metadata/queries/old-trash.ts';
import type { Actor } from '../actor.ts';
import type { Registry } from '../registry.ts';
import { endWindows, type TrashEntry } from './trash.ts';

/**
 * Something in the trash, with when its lease ends, in ms since 1970: until then it would go neither way. Only what is
 * visible has one, such as what a deleted tag led to.
 */
export interface OldEntry {
  readonly entry: TrashEntry;
  readonly leaseUntil: number;
}

/** Where a page by age starts: after these, which need not exist. */
export interface TrashPosition {
  readonly manifests: { readonly until: number; readonly repo: string; readonly digest: string };
  readonly tags: { readonly until: number; readonly repo: string; readonly name: string; readonly manifest: string };
}

/** Before everything whose time in the trash is not over at `now`, in ms since 1970. */
export function oldestAt(now: number): TrashPosition {
  return {
    manifests: { until: now, repo: '~', digest: '' },
    tags: { until: now, repo: '~', name: '', manifest: '' },
  };
}

export interface TrashByAge {
  readonly entries: readonly OldEntry[];
  /** Where the next page starts; undefined where this is the last. */
  readonly next: TrashPosition | undefined;
}

/** A page of the trash, what was deleted first coming first. */
export function* trashByAge(after: TrashPosition, limit: number): Operation<TrashByAge> {
  const manifests = yield* all(trashedManifestsByEnd, { ...after.manifests, limit });
  const tags = yield* all(trashedTagsByEnd, { ...after.tags, limit });
  const entries = [
    ...manifests.map((row): OldEntry => {
      const { repo, digest, media_type: mediaType, size_bytes: sizeBytes, trash_until: until } = row;
      const entry = { kind: 'manifest', repo, digest, mediaType, sizeBytes, until: until ?? 0 } as const;
      return { entry, leaseUntil: 0 };
    }),
    ...tags.map((row): OldEntry => {
      const { repo, name: tag, manifest: digest, trashed_at: deletedAt, purge_after: until } = row;
      return {
        entry: { kind: 'tag', repo, tag, digest, deletedAt, until },
        leaseUntil: row.state === 'live' ? row.lease_until : 0,
      };
    }),
  ]
    .sort((a, b) => a.entry.until - b.entry.until)
    .slice(0, limit);
  if (entries.length < limit) return { entries, next: undefined };
  return { entries, next: positionAfter(entries, after) };
}

/** Each of the two lists goes on after the last of its own that was taken. */
export function positionAfter(entries: readonly OldEntry[], before: TrashPosition): TrashPosition {
  let { manifests, tags } = before;
  for (const { entry } of entries) {
    const { until, repo, digest } = entry;
    if (entry.kind === 'manifest') manifests = { until, repo, digest };
    else tags = { until, repo, name: entry.tag, manifest: digest };
  }
  return { manifests, tags };
}

/**
 * Ends the time of some things in the trash now.
 *
 * @param request `guard` is done first in the transaction: it throws where they are to stay
 * @returns those that had not been restored meanwhile
 */
export async function endTrashOf(
  { metadata, clock }: Registry,
  entries: readonly TrashEntry[],
  { actor, reason, guard }: { readonly actor: Actor; readonly reason: string; readonly guard: () => Operation<void> },
): Promise<readonly TrashEntry[]> {
  const now = clock.now();
  return await metadata.write(
    function* endAll(): Operation<readonly TrashEntry[]> {
      yield* guard();
      return yield* endWindows(entries, now, actor, reason);
    },
    { fromReserve: true },
  );
}
