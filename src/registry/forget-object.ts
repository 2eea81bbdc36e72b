import type { BlobStore, ObjectId } from '../blobs/store.ts';
import { change, first, type Operation } from '../metadata/operation.ts';
import { deleteDeadObject, keepDeadObject, objectState } from '../metadata/queries/objects.ts';
import { deleteTask, setTask } from '../metadata/queries/tasks.ts';

/**
 * T_forget: what becomes of the row of a dead object whose bytes were removed. Where a write to it may still arrive (R32),
 * it is kept until none can, and the review queue has the object removed once more then; else it goes.
 *
 * @param removedAt when the removal began, in ms since 1970: what has arrived since may have been overlooked by it
 * @returns whether this was the first time, as far as the row tells: false as well where somebody else has been as far
 */
export function* forgetObject(
  oid: ObjectId,
  { blobs, removedAt }: { readonly blobs: Pick<BlobStore, 'lateWritesMs'>; readonly removedAt: number },
): Operation<boolean> {
  const task = { kind: 'object', key1: oid, key2: '' } as const;
  const object = yield* first(objectState, { oid });
  const forgetAt = object?.due_at ?? removedAt + blobs.lateWritesMs;
  if (object?.state === 'dead' && forgetAt > removedAt) {
    const isKept = (yield* change(keepDeadObject, { oid, until: forgetAt, sizeBytes: 0 })) > 0;
    yield* change(setTask, { ...task, dueAt: forgetAt, attempts: 0, claimedUntil: 0 });
    return isKept;
  }
  const isForgotten = (yield* change(deleteDeadObject, { oid })) > 0;
  yield* change(deleteTask, task);
  // One that was condemned has a time as well, but still the size that it had.
  const wasKept = object !== undefined && object.due_at !== null && object.size_bytes === 0;
  return isForgotten && !wasKept;
}
