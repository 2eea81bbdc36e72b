import type { ObjectId } from '../blobs/store.ts';
import { change, type Operation } from '../metadata/operation.ts';
import { dropAbandonedObject } from '../metadata/queries/objects.ts';
import { upsertTask } from '../metadata/queries/tasks.ts';
import type { TaskKind } from '../metadata/schema.ts';
import type { Reclaimer } from './reclaimer.ts';
import type { Registry } from './registry.ts';
import { reviewObject } from './review.ts';

/** What the review queue knows a thing by. */
export interface MissingReview {
  readonly kind: TaskKind;
  readonly key1: string;
  readonly key2: string;
}

/** Puts something into the review queue that should be there: the collector looks what is to become of it. */
export async function reviewAfterAll(
  { metadata, clock }: Registry,
  { kind, key1, key2 }: MissingReview,
): Promise<void> {
  const now = clock.now();
  await metadata.write(() => change(upsertTask, { kind, key1, key2, dueAt: now }), { fromReserve: true });
}

/** Gives up an object that waits for an upload that is gone. @returns whether it does */
export async function dropAbandoned(
  {
    metadata,
    clock,
    reclaimer,
  }: Pick<Registry, 'metadata' | 'clock'> & { readonly reclaimer: Pick<Reclaimer, 'soon'> },
  oid: ObjectId,
): Promise<boolean> {
  const now = clock.now();
  const isDropped = await metadata.write(
    function* drop(): Operation<boolean> {
      if ((yield* change(dropAbandonedObject, { oid })) === 0) return false;
      yield* reviewObject(oid, now);
      return true;
    },
    { fromReserve: true },
  );
  if (isDropped) reclaimer.soon(oid);
  return isDropped;
}
