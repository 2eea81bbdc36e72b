import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/names.ts';
import type { Actor } from '../actor.ts';
import { purgedDigest } from '../purges/purged.ts';
import type { Registry } from '../registry.ts';
import type { Chunk } from './request.ts';
import { type CloseOutcome, closeUpload } from './close.ts';
import { openUpload } from './open.ts';
import { cancelUpload } from './status.ts';

export interface WholeBlob extends Chunk {
  readonly repo: RepositoryName;
  readonly digest: Digest;
  readonly actor?: Actor;
  /** As in CloseRequest. */
  readonly showsOthers?: boolean;
}

/**
 * A blob in a single request: opens a session and closes it. Where that fails, the session goes with all that it has
 * received, because nobody was told where it is.
 */
export async function pushWholeBlob(registry: Registry, { repo, ...request }: WholeBlob): Promise<CloseOutcome> {
  // What would be refused at its end need not come.
  const purged = await registry.metadata.read(() => purgedDigest(request.digest));
  if (purged !== undefined) return { outcome: 'blocked', purged };
  const id = await openUpload(registry, repo, 'sha256');
  let isCreated = false;
  try {
    const closed = await closeUpload(registry, { ...request, repo, id });
    isCreated = closed.outcome === 'created';
    return closed;
  } finally {
    if (!isCreated) await dropQuietly(registry, repo, id);
  }
}

/** What the push has failed of is what the client must hear of. */
async function dropQuietly(registry: Registry, repo: RepositoryName, id: string): Promise<void> {
  try {
    await cancelUpload(registry, repo, id);
  } catch (error) {
    registry.log.warn({ err: error, upload: id }, 'what is left of a failed push could not be dropped');
  }
}
