import { resolve } from 'node:path';
import { type BlobStore, BlobStoreBusyError } from '../blobs/store.ts';
import type { Log } from '../log/log.ts';
import type { MetadataStore } from '../metadata/store.ts';
import { randomIds } from '../registry/id-generator.ts';
import { BlobsElsewhereError, expectOwnBlobs } from '../registry/registry-identity.ts';
import { StartupError } from '../startup-error.ts';
import { startupFailure } from '../startup-failures.ts';
import type { StoresConfig } from './stores-config.ts';

/** Between two looks whether another process has left the registry's id beside the blobs, in ms. */
const pauseMs = 100;

/**
 * Sees that two stores are of one registry.
 *
 * @param place where the blobs are, in words
 * @throws StartupError where they are not, or it cannot be seen
 */
export async function expectOne(
  stores: { readonly metadata: MetadataStore; readonly blobs: BlobStore },
  place: string,
  log: Log,
): Promise<void> {
  try {
    const newId = () => randomIds.objectId();
    const { others } = await expectOwnBlobs(stores, newId, () => Bun.sleep(pauseMs));
    if (others.length === 0) return;
    log.warn(
      { place, others },
      'other registries have their blobs in the same place: give each a place of its own, as they keep each other from collecting, and wherry fsck repairs little there',
    );
  } catch (error) {
    if (error instanceof BlobsElsewhereError) throw new StartupError(elsewhereText(error, place), { cause: error });
    if (error instanceof BlobStoreBusyError) {
      throw new StartupError(`cannot see whose blobs are in ${place} (${error.message})`, { cause: error });
    }
    throw startupFailure(error, { name: `registries/ in ${place}`, ifDamaged: 'move it away' });
  }
}

/** What an operator is told of blobs that are elsewhere. */
export function elsewhereText({ registry, others }: BlobsElsewhereError, place: string): string {
  const own = registry === undefined ? '' : ` (${registry})`;
  const found = others.length === 0 ? 'those of no registry are' : `those of ${others.join(', ')} are`;
  return (
    `the blobs of this registry${own} are not in ${place}; ${found}: set metadata, blobs and data to what belongs together; ` +
    'docs/backup.md ("Blobs of another registry") says more'
  );
}

/** Where a configuration has the blobs. */
export function blobsText({ data, blobs }: Pick<StoresConfig, 'data' | 'blobs'>): string {
  return blobs?.kind === 's3' ? `s3://${blobs.bucket}/${blobs.prefix}` : resolve(data);
}
