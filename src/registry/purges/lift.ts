import { all, change, first, type Operation } from '../../metadata/operation.ts';
import { blockedDigest } from '../../metadata/queries/objects.ts';
import { releaseAllFromQuarantine } from '../../metadata/queries/purge-quarantine.ts';
import { anyDigestKeptOut, findPurge, liftDigest, unblockDigest } from '../../metadata/queries/purges.ts';
import type { Digest } from '../../oci/digest.ts';
import type { Actor } from '../actor.ts';
import { recordEvent } from '../events.ts';
import type { Registry } from '../registry.ts';

export interface LiftRequest {
  readonly digests: readonly Digest[];
  readonly reason: string;
  readonly actor: Actor;
}

export type LiftOutcome =
  | { readonly outcome: 'lifted'; readonly digests: readonly Digest[] }
  /** Nothing was changed. */
  | { readonly outcome: 'not-blocked'; readonly digest: Digest }
  | { readonly outcome: 'unfinished'; readonly digest: Digest; readonly purge: number };

/**
 * Lets digests in again that were purged: all of them, or none. Nothing comes back by it. When nothing of a purge is kept
 * out any more, its images are in quarantine no longer: they are just not here, and can be pushed.
 */
export async function liftPurge(registry: Registry, request: LiftRequest): Promise<LiftOutcome> {
  return await registry.metadata.write(() => lift(request, registry.clock.now()), { fromReserve: true });
}

function* lift({ digests, reason, actor }: LiftRequest, now: number): Operation<LiftOutcome> {
  const wanted = [...new Set(digests)].toSorted();
  for (const digest of wanted) {
    const blocked = yield* first(blockedDigest, { digest });
    if (blocked === undefined) return { outcome: 'not-blocked', digest };
    const { purge } = blocked;
    const record = purge === null ? undefined : yield* first(findPurge, { purge });
    if (record !== undefined && record.checked_at === null) return { outcome: 'unfinished', digest, purge: record.id };
  }
  const purges = new Set<number>();
  for (const digest of wanted) {
    yield* change(unblockDigest, { digest });
    for (const { purge } of yield* all(liftDigest, { digest, at: now, actor: actor.text, reason })) purges.add(purge);
    yield* recordEvent({ at: now, kind: 'purge.lifted', digest, actor, reason });
  }
  for (const purge of [...purges].toSorted((a, b) => a - b)) {
    const left = yield* first(anyDigestKeptOut, { purge });
    if (left === undefined) yield* change(releaseAllFromQuarantine, { purge });
  }
  return { outcome: 'lifted', digests: wanted };
}
