import type { ObjectId } from '../blobs/store.ts';
import { change, type Operation } from '../metadata/operation.ts';
import { upsertTask } from '../metadata/queries/tasks.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';

/**
 * Puts things into the review queue (protocol.md, section 3: task rows come last in every transaction). `dueAt` in ms
 * since 1970 is when something that holds the thing may end.
 */
export function* reviewManifest(repo: RepositoryName, digest: Digest, dueAt: number): Operation<void> {
  yield* change(upsertTask, { kind: 'manifest', key1: repo, key2: digest, dueAt });
}

export function* reviewLink(repo: RepositoryName, digest: Digest, dueAt: number): Operation<void> {
  yield* change(upsertTask, { kind: 'link', key1: repo, key2: digest, dueAt });
}

export function* reviewObject(oid: ObjectId, dueAt: number): Operation<void> {
  yield* change(upsertTask, { kind: 'object', key1: oid, key2: '', dueAt });
}

export function* reviewUpload(id: string, dueAt: number): Operation<void> {
  yield* change(upsertTask, { kind: 'upload', key1: id, key2: '', dueAt });
}
