import { join, resolve } from 'node:path';
import type { DirectoryCalls } from '../blobs/directory/calls.ts';
import { DirectoryBlobStore } from '../blobs/directory/store.ts';
import type { BucketCalls } from '../blobs/s3/calls.ts';
import type { S3Settings } from '../blobs/s3/settings.ts';
import { type BlobStore, BlobStoreBusyError } from '../blobs/store.ts';
import type { Log } from '../log/log.ts';
import { StartupError } from '../startup-error.ts';
import { startupFailure } from '../startup-failures.ts';
import { bucketOf, expectBlobsAt } from './blobs-place.ts';
import { prepareDirectory } from './data-directory.ts';
import type { StoresConfig } from './stores-config.ts';
import type { Syncs } from './syncs.ts';

/**
 * Opens or creates the blob store of a configuration, and nothing else.
 * @throws StartupError where the operator has to mend something first
 */
export async function openBlobsOf({ data, blobs, s3 }: StoresConfig, log: Log): Promise<BlobStore> {
  const directory = resolve(data);
  prepareDirectory(directory);
  return await blobsOf(directory, { ...(blobs && { blobs }), ...(s3 && { s3 }) }, { log, syncs: undefined });
}

/**
 * The same in a data directory that is there. Blobs lie in it where nothing else is said.
 * @throws StartupError where the operator has to mend something first
 */
export async function blobsOf(
  directory: string,
  { blobs: place = { kind: 'directory' }, s3 }: Pick<StoresConfig, 'blobs' | 's3'>,
  { log, syncs }: { readonly log: Log; readonly syncs: Syncs | undefined },
): Promise<BlobStore> {
  expectBlobsAt(directory, place);
  const settings = s3 && bucketOf({ blobs: place, s3 });
  if (settings !== undefined) return await openBucket(settings, log, syncs?.bucket);
  return await openDirectory(directory, syncs?.blobs);
}

/** Its client is loaded by those only who need it: it takes longer than all the rest. */
async function openBucket(settings: S3Settings, log: Log, calls: Partial<BucketCalls> | undefined): Promise<BlobStore> {
  const { bucket, prefix } = settings;
  const { S3BlobStore } = await import('../blobs/s3/store.ts');
  let blobs;
  try {
    blobs = await S3BlobStore.open(settings, { calls });
  } catch (error) {
    if (!(error instanceof BlobStoreBusyError)) throw error;
    throw new StartupError(
      `cannot keep blobs in s3://${bucket}/${prefix} (${error.message}): see that the bucket is there, that s3.endpoint and ` +
        's3.region are right, and that the credentials (s3.profile; AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or those of this machine) ' +
        'may read, write, list and remove objects there',
      { cause: error },
    );
  }
  const { traits, knowsConditions } = blobs;
  if (traits === undefined) {
    log.warn(
      { bucket },
      'the bucket does not tell whether it keeps older versions: if it does, removed blobs take room there',
    );
  }
  if (traits?.isVersioned === true) {
    log.info(
      { bucket },
      'the bucket keeps older versions of objects: what is removed is removed with all its versions',
    );
  }
  if (traits !== undefined && traits.isLocked === undefined) {
    log.warn(
      { bucket },
      'the bucket does not tell whether it locks objects (s3:GetBucketObjectLockConfiguration): if it does, what is removed or purged stays there until its lock ends',
    );
  }
  if (traits?.isLocked === true) {
    log.warn({ bucket }, 'the bucket locks objects: what is removed or purged stays there until its lock ends');
  }
  if (!knowsConditions) {
    log.warn(
      { bucket },
      'the S3 server puts objects whatever is there already (If-None-Match): small blobs are written twice',
    );
  }
  return blobs;
}

async function openDirectory(
  directory: string,
  syncs: Partial<DirectoryCalls> | undefined,
): Promise<DirectoryBlobStore> {
  try {
    return await DirectoryBlobStore.open(directory, syncs);
  } catch (error) {
    throw startupFailure(error, {
      name: `the blobs in ${join(directory, 'objects')}`,
      ifDamaged: 'put a backup in its place',
    });
  }
}
