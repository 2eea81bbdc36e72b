import { change, type Operation } from '../metadata/operation.ts';
import { insertPendingObject } from '../metadata/queries/objects.ts';
import { insertUpload } from '../metadata/queries/uploads.ts';
import type { DigestAlgorithm } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Registry } from './registry.ts';
import { reviewUpload } from './review.ts';

/** How long a session that ended well is remembered, in ms, for a client that lost the answer (R30). */
export const doneSessionMs = 60 * 60 * 1000;

/**
 * T_open: begins an upload session. The rows come before the first byte of the file, so that every file has an owner
 * (I9, R29). They are not synced to the disk: no answer promises that a session survives a power cut, and the end of the
 * process does not lose them. The session's one review comes when it could be over, by its end or by a timeout,
 * whichever may be first; that review sees how it stands and when to look again.
 *
 * @returns the session's id
 */
export async function openUpload(
  registry: Registry,
  repo: RepositoryName,
  algorithm: DigestAlgorithm,
): Promise<string> {
  const id = registry.ids.uploadId();
  const oid = registry.ids.objectId();
  const now = registry.clock.now();
  await registry.metadata.writeUnsynced(function* open(): Operation<void> {
    yield* change(insertPendingObject, { oid });
    yield* change(insertUpload, { id, repo, oid, algorithm, now });
    yield* reviewUpload(id, now + Math.min(registry.windows.uploadMs, doneSessionMs));
  });
  return id;
}
