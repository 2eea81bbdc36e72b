import { change, first, type Operation } from '../metadata/operation.ts';
import { anyLinkOf } from '../metadata/queries/holds.ts';
import { condemnObject, dropAbandonedObject, killObject, objectState } from '../metadata/queries/objects.ts';
import { collectorActor } from '../registry/actor.ts';
import { recordEvent } from '../registry/events.ts';
import { isBeingPurged } from '../registry/purges/purged.ts';
import type { ReviewTime } from './hold.ts';
import { done, type ReviewOutcome, reviewAgainAt } from './review.ts';

/** How often it is looked whether a purge has removed an object, in ms. */
const purgeLookMs = 60_000;

/**
 * T_condemn and T_kill: an object that no repository links is condemned; when the delay is over it is dead, and its
 * bytes may go. It never comes back: a push of the same digest brings an object of its own (I2, R5).
 */
export function* reviewObject(oid: string, { now, windows, lateWritesMs }: ReviewTime): Operation<ReviewOutcome> {
  const object = yield* first(objectState, { oid });
  if (object === undefined) return done;
  // Every write to it was sent before it became live, and none of them arrives after a delay that is as long.
  const forgetAt = (dueAt: number): number | null => (windows.condemnedMs >= lateWritesMs ? dueAt : null);
  switch (object.state) {
    case 'pending':
      // Its upload's own review sees to it, unless there is none.
      if ((yield* change(dropAbandonedObject, { oid })) === 0) return done;
      return { ...reviewAgainAt(now), reclaim: { oid, sizeBytes: object.size_bytes } };
    case 'live': {
      const { digest } = object;
      if (digest === null || (yield* first(anyLinkOf, { digest })) !== undefined) return done;
      const dueAt = now + windows.condemnedMs;
      yield* change(condemnObject, { oid, dueAt });
      yield* recordEvent({
        at: now,
        kind: 'blob.collected',
        digest,
        actor: collectorActor,
        reason: 'no repository links it',
        bytes: object.size_bytes,
      });
      const condemned = { ...reviewAgainAt(dueAt), collected: { blobs: 1 } };
      // Without a delay it need not wait for its turn once more.
      if (dueAt > now) return condemned;
      yield* change(killObject, { oid, forgetAt: forgetAt(dueAt) });
      return { ...condemned, reclaim: { oid, sizeBytes: object.size_bytes } };
    }
    case 'condemned': {
      const dueAt = object.due_at ?? now;
      if (dueAt > now) return reviewAgainAt(dueAt);
      yield* change(killObject, { oid, forgetAt: forgetAt(dueAt) });
      return { ...reviewAgainAt(now), reclaim: { oid, sizeBytes: object.size_bytes } };
    }
    case 'dead':
      // A purge breaks off those who read it before it removes it, and may have to overwrite it.
      if (object.digest !== null && (yield* isBeingPurged(object.digest))) return reviewAgainAt(now + purgeLookMs);
      // One that has been removed is to be removed once more when no write to it can arrive any more.
      return {
        ...reviewAgainAt(Math.max(now, object.due_at ?? now)),
        reclaim: { oid, sizeBytes: object.size_bytes },
      };
  }
}
