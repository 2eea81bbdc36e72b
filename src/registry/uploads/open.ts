import { change, first, type Operation } from '../../metadata/operation.ts';
import { insertPendingObject } from '../../metadata/queries/objects.ts';
import { insertUpload, openUploadOfClient } from '../../metadata/queries/uploads.ts';
import type { DigestAlgorithm } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/names.ts';
import type { Registry } from '../registry.ts';
import { reviewUpload } from '../review.ts';

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
  const upload = newUpload(registry, repo, algorithm);
  await registry.metadata.writeUnsynced(() => open(registry, upload, null), { byOwnRows: true });
  return upload.id;
}

/**
 * Transactions that count meet all others of the same client. Where at least so many may be open, and half of them are not,
 * it is not counted: no client opens as many at the same moment.
 */
const countedBelow = 1000;

/** Whose sessions are counted, and how many there may be. */
export interface SessionLimit {
  readonly client: string;
  readonly most: number;
}

/** The same for a client that may have only so many sessions open. @returns undefined where it has as many */
export async function openCountedUpload(
  registry: Registry,
  { repo, algorithm }: { readonly repo: RepositoryName; readonly algorithm: DigestAlgorithm },
  { client, most }: SessionLimit,
): Promise<string | undefined> {
  const upload = newUpload(registry, repo, algorithm);
  const many = { client, others: Math.floor(most / 2) };
  if (most >= countedBelow && (await registry.metadata.read(() => first(openUploadOfClient, many))) === undefined) {
    await registry.metadata.writeUnsynced(() => open(registry, upload, client), { byOwnRows: true });
    return upload.id;
  }
  return await registry.metadata.writeUnsynced(function* openWithin(): Operation<string | undefined> {
    if ((yield* first(openUploadOfClient, { client, others: most - 1 })) !== undefined) return undefined;
    yield* open(registry, upload, client);
    return upload.id;
  });
}

type NewUpload = ReturnType<typeof newUpload>;

function newUpload({ ids, clock }: Registry, repo: RepositoryName, algorithm: DigestAlgorithm) {
  return { id: ids.uploadId(), oid: ids.objectId(), repo, algorithm, now: clock.now() };
}

function* open({ windows }: Registry, upload: NewUpload, client: string | null): Operation<void> {
  yield* change(insertPendingObject, { oid: upload.oid });
  yield* change(insertUpload, { ...upload, client });
  yield* reviewUpload(upload.id, upload.now + Math.min(windows.uploadMs, doneSessionMs));
}
