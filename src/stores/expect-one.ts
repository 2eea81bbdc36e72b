import { resolve } from 'node:path';
import type { BlobStore } from '../blobs/store.ts';
import type { Log } from '../log/log.ts';
import type { MetadataStore } from '../metadata/store.ts';
import { randomIds } from '../registry/id-generator.ts';
import { BlobsElsewhereError, expectOwnBlobs } from '../registry/registry-identity.ts';
import { StartupError } from '../startup-error.ts';
import type { StoresConfig } from './stores-config.ts';

/**
 * Sees that two stores are of one registry.
 *
 * @param place where the blobs are, in words
 * @throws StartupError where they are not
 */
export async function expectOne(
  stores: { readonly metadata: MetadataStore; readonly blobs: BlobStore },
  place: string,
  log: Log,
): Promise<void> {
  try {
    const { others } = await expectOwnBlobs(stores, () => randomIds.objectId());
    if (others.length === 0) return;
    log.warn(
      { place, others },
      'other registries have their blobs in the same place, so wherry fsck removes and adopts nothing there: give each its own; where one is no more, remove registries/<its id> there',
    );
  } catch (error) {
    if (!(error instanceof BlobsElsewhereError)) throw error;
    const { registry, others } = error;
    const found = others.length === 0 ? 'those of no registry are' : `those of ${others.join(', ')} are`;
    throw new StartupError(
      `the blobs of this registry (${registry}) are not in ${place}; ${found}: set metadata, blobs and data to what belongs together, ` +
        `or, where its blobs have been copied there, make an empty file registries/${registry} beside objects/`,
      { cause: error },
    );
  }
}

/** Where a configuration has the blobs. */
export function blobsText({ data, blobs }: Pick<StoresConfig, 'data' | 'blobs'>): string {
  return blobs?.kind === 's3' ? `s3://${blobs.bucket}/${blobs.prefix}` : resolve(data);
}
