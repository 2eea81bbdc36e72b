import { first, type Operation } from '../../metadata/operation.ts';
import { findUpload } from '../../metadata/queries/uploads.ts';
import type { RepositoryName } from '../../oci/names.ts';
import type { Registry } from '../registry.ts';
import { dropUpload, type FoundUpload } from './drop.ts';
import { afterAllEpochs, endOtherWriters } from './writers.ts';

export type UploadStatus = { readonly outcome: 'open'; readonly offsetBytes: number } | { readonly outcome: 'unknown' };

/** How far an upload session has come. */
export async function uploadStatus(registry: Registry, repo: RepositoryName, id: string): Promise<UploadStatus> {
  const upload = await registry.metadata.read(() => first(findUpload, { id, repo }));
  if (upload === undefined || upload.state === 'done') return { outcome: 'unknown' };
  return { outcome: 'open', offsetBytes: upload.offset_bytes };
}

/** Gives an upload session up; its bytes are reclaimed. */
export async function cancelUpload(
  registry: Registry,
  repo: RepositoryName,
  id: string,
): Promise<{ readonly outcome: 'cancelled' | 'unknown' }> {
  // Whoever does not know the session's repository must not disturb its writer.
  if ((await uploadStatus(registry, repo, id)).outcome === 'unknown') return { outcome: 'unknown' };
  const cancelled = await registry.sessions.takeTurn(id, () => drop(registry, repo, id));
  return cancelled ?? { outcome: 'unknown' };
}

async function drop(
  registry: Registry,
  repo: RepositoryName,
  id: string,
): Promise<{ readonly outcome: 'cancelled' | 'unknown' }> {
  // Those that end may have come to the session's end before they do.
  if (registry.siblings.areAll) await endOtherWriters(registry.siblings, id, afterAllEpochs);
  const isDropped = await dropUpload(registry, id, function* openUpload(): Operation<FoundUpload | undefined> {
    const upload = yield* first(findUpload, { id, repo });
    if (upload === undefined || upload.oid === null) return undefined;
    const { oid, epoch, incarnation, offset_bytes: offsetBytes } = upload;
    return { oid, epoch, digest: registry.sessions.digestSoFar(id, { epoch, incarnation, offsetBytes }) };
  });
  return { outcome: isDropped ? 'cancelled' : 'unknown' };
}
