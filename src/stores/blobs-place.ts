import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { S3Settings } from '../blobs/s3/settings.ts';
import type { BlobsPlace } from '../config/s3-types.ts';
import type { Config } from '../config/schema.ts';
import { StartupError } from '../startup-error.ts';
import { startupFailure } from '../startup-failures.ts';

/**
 * Sees that a data directory's blobs are looked for where they are: in another place all of them would count as lost, and
 * what is removed there would stay where it is.
 *
 * @throws StartupError where they lie somewhere else
 */
export function expectBlobsAt(directory: string, place: BlobsPlace): void {
  const path = pathIn(directory);
  const known = existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined;
  const configured = textOf(place);
  if (known === configured) return;
  // It is empty where an earlier version found no room for it.
  if (known !== undefined && known !== '') {
    throw new StartupError(
      `the blobs of ${directory} lie in ${known}, and blobs is set to ${configured}: set it to that, or remove ${path} once they have been moved`,
    );
  }
  if (place.kind === 'directory') return;
  if (existsSync(join(directory, 'objects'))) {
    throw new StartupError(
      `the blobs of ${directory} lie in it, and blobs is set to ${configured}: set it to directory, or choose another directory with --data`,
    );
  }
}

/** Writes down for the next start that they lie in a bucket, once it is known that they do. */
export function rememberBlobsAt(directory: string, place: BlobsPlace): void {
  const path = pathIn(directory);
  if (place.kind === 's3' && !hasText(path)) writePlace(path, place);
}

function hasText(path: string): boolean {
  return existsSync(path) && readFileSync(path, 'utf8').trim() !== '';
}

/** Whole or not at all, also on a disk without room. @throws StartupError where it cannot be */
function writePlace(path: string, place: BlobsPlace): void {
  const unfinished = `${path}.new`;
  try {
    writeFileSync(unfinished, `${textOf(place)}\n`, { mode: 0o640 });
    renameSync(unfinished, path);
  } catch (error) {
    rmSync(unfinished, { force: true, recursive: true });
    throw startupFailure(error, { name: path, ifDamaged: 'remove it' });
  }
}

/** The bucket in which the blobs lie; undefined where they lie in the data directory. */
export function bucketOf({ blobs, s3 }: Pick<Config, 'blobs' | 's3'>): S3Settings | undefined {
  if (blobs.kind !== 's3') return undefined;
  const { bucket, prefix } = blobs;
  const { isRedirecting, redirectLifeMs, redirectRepositories: _, redirectNetworks: __, ...rest } = s3;
  return { bucket, prefix, ...rest, redirectMs: isRedirecting ? redirectLifeMs : undefined };
}

/** The same once they have been moved, wherever it was written down that they are. */
export function rememberMovedBlobs(directory: string, place: BlobsPlace): void {
  const path = pathIn(directory);
  if (place.kind === 's3') writePlace(path, place);
  else rmSync(path, { force: true });
}

function pathIn(directory: string): string {
  return join(directory, 'blobs-place');
}

function textOf(place: BlobsPlace): string {
  return place.kind === 's3' ? `s3://${place.bucket}/${place.prefix}` : 'directory';
}
