import { change, first, type Operation } from '../metadata/operation.ts';
import { anyVisibleLink, attachAbsentBlobEdges, upsertLink, visibleBlob } from '../metadata/queries/links.ts';
import { blockedDigest } from '../metadata/queries/objects.ts';
import { insertRepository } from '../metadata/queries/repositories.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Registry } from './registry.ts';
import { reviewLink } from './review.ts';

export interface MountRequest {
  readonly repo: RepositoryName;
  readonly digest: Digest;
  /** The repository that has the blob; undefined: any. */
  readonly from: RepositoryName | undefined;
}

/**
 * T_mount: makes a blob of one repository visible in another without moving a byte. The source is looked up in the
 * transaction that adds the link, so the collector cannot come between (R8). False where it cannot be done: the client
 * then uploads.
 */
export async function mountBlob(registry: Registry, request: MountRequest): Promise<boolean> {
  const now = registry.clock.now();
  const leaseUntil = now + registry.windows.leaseMs;
  return await registry.metadata.write(() => mount(request, now, leaseUntil));
}

function* mount({ repo, digest, from }: MountRequest, now: number, leaseUntil: number): Operation<boolean> {
  const source =
    from === undefined ? yield* first(anyVisibleLink, { digest }) : yield* first(visibleBlob, { repo: from, digest });
  if (source === undefined) return false;
  if ((yield* first(blockedDigest, { digest })) !== undefined) return false;
  yield* change(insertRepository, { repo, now });
  yield* change(upsertLink, { repo, digest, leaseUntil, now });
  yield* change(attachAbsentBlobEdges, { repo, digest });
  yield* reviewLink(repo, digest, leaseUntil);
  return true;
}
