import { change, first, type Operation } from '../metadata/operation.ts';
import {
  blockedDigest,
  insertKnownObject,
  liveObject,
  makeObjectDead,
  objectState,
} from '../metadata/queries/objects.ts';
import type { ObjectId } from '../blobs/store.ts';
import type { Digest } from '../oci/digest.ts';
import { fsckActor } from './actor.ts';
import { recordEvent } from './events.ts';
import type { Registry } from './registry.ts';
import { reviewObject } from './review.ts';

/** Bytes that the database does not know. */
export interface Adopted {
  readonly oid: ObjectId;
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Why it is adopted, for the log of events. */
  readonly reason: string;
  /** In ms since 1970. */
  readonly keptUntil: number;
}

/**
 * Has the database know an object whose bytes it did not: live, in no repository, until a push of the digest links it or
 * its time is over. Nobody gets to see it by that. Where its digest is here already, whole, or was purged, it goes as any
 * copy does (T_commit); where the bytes of the one that is here are gone, it takes that one's place.
 */
export async function adopt(registry: Pick<Registry, 'metadata' | 'blobs' | 'clock'>, adopted: Adopted): Promise<void> {
  const { metadata, blobs, clock } = registry;
  const { oid, digest, sizeBytes, reason, keptUntil } = adopted;
  for (;;) {
    const seen = await metadata.read(() => first(liveObject, { digest }));
    const isWhole = seen !== undefined && (await blobs.size(seen.oid)) === seen.size_bytes;
    const now = clock.now();
    const isDone = await metadata.write(
      function* know(): Operation<boolean> {
        if ((yield* first(objectState, { oid })) !== undefined) return true;
        const there = yield* first(liveObject, { digest });
        // Another one came, or it went, since it was looked at.
        if (there?.oid !== seen?.oid) return false;
        const isDead = isWhole || (yield* first(blockedDigest, { digest })) !== undefined;
        if (there !== undefined && !isDead) {
          yield* change(makeObjectDead, { oid: there.oid });
          yield* reviewObject(there.oid, now);
        }
        yield* change(insertKnownObject, { oid, digest, size: sizeBytes, state: isDead ? 'dead' : 'live' });
        yield* reviewObject(oid, isDead ? now : keptUntil);
        if (!isDead)
          yield* recordEvent({ at: now, kind: 'blob.adopted', digest, actor: fsckActor, reason, bytes: sizeBytes });
        return true;
      },
      { fromReserve: true },
    );
    if (isDone) return;
  }
}
