import { change, first, type Operation } from '../metadata/operation.ts';
import { deletePendingObjects } from '../metadata/queries/objects.ts';
import { deleteTasksOfOpenUploads, deleteTasksOfPendingObjects } from '../metadata/queries/tasks.ts';
import { deleteOpenUploads } from '../metadata/queries/uploads.ts';
import { deleteReadOnly, findReadOnly } from '../metadata/queries/read-only.ts';
import { knownGeneration } from '../metadata/queries/store.ts';
import type { BlobStore } from '../blobs/store.ts';
import type { MetadataStore } from '../metadata/store.ts';
import type { Actor } from './actor.ts';
import { recordEvent } from './events.ts';
import { reuniteWithBlobs } from './registry-identity.ts';
import { type ReadOnlyState, stateOf } from './read-only.ts';

/** What there was in a database when it was copied. */
export interface AdaptedDatabase {
  /** How many uploads were under way. */
  readonly endedUploads: number;
  /** Why nothing may be changed; undefined where it may be. */
  readonly readOnly: ReadOnlyState | undefined;
}

/** A copy that was made while nothing could be changed is put in place as any other. */
const always = { whileReadOnly: true };

/**
 * Makes a database that was copied earlier fit for the blobs as they are now, before anybody serves it. The uploads that
 * were under way when it was copied have ended by now, one way or another: their rows go, so that fsck finds what they
 * brought among the files that no row knows, and adopts it. If nothing could be changed when it was copied, that stays so
 * where somebody has said it, and is over where it would have ended by itself.
 */
export async function adaptRestored(
  metadata: MetadataStore,
  { actor, now, reason }: { readonly actor: Actor; readonly now: number; readonly reason: string },
): Promise<AdaptedDatabase> {
  return await metadata.write(function* adapt(): Operation<AdaptedDatabase> {
    yield* change(deleteTasksOfOpenUploads, {});
    yield* change(deleteTasksOfPendingObjects, {});
    const uploads = yield* change(deleteOpenUploads, {});
    yield* change(deletePendingObjects, {});
    const there = yield* first(findReadOnly, {});
    if (there !== undefined && there.until !== null) yield* change(deleteReadOnly, {});
    yield* recordEvent({ at: now, kind: 'database.restored', actor, reason });
    return { endedUploads: uploads, readOnly: there?.until === null ? stateOf(there) : undefined };
  }, always);
}

/**
 * Marks the blobs as newer than any database that is put in place now (R39): nothing is removed until fsck has adopted
 * what the database does not know. Before the database is put in place, so that no crash can leave it out.
 *
 * @param restored the database that is put in place
 * @throws BlobsElsewhereError where the blobs are those of another registry
 */
export async function markBlobsNewer(
  blobs: Pick<BlobStore, 'generation' | 'setGeneration' | 'registries' | 'leaveRegistry' | 'size'>,
  restored: MetadataStore,
): Promise<void> {
  await reuniteWithBlobs({ metadata: restored, blobs });
  const known = (await restored.read(() => first(knownGeneration, {})))?.generation ?? 0;
  const ofBlobs = (await blobs.generation()) ?? 0;
  if (ofBlobs <= known) await blobs.setGeneration(known + 1);
}
