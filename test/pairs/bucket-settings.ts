import type { S3Settings } from '../../src/blobs/s3/settings.ts';

/** How blobs are kept on an S3 server of a test, where nothing else is said: late writes and redirects are off. */
export function bucketSettingsAt(place: Pick<S3Settings, 'bucket' | 'prefix' | 'endpoint'>): S3Settings {
  return {
    ...place,
    region: 'us-east-1',
    isPathStyle: true,
    profile: undefined,
    encryption: undefined,
    storageClass: undefined,
    partBytes: 8 * 1024 * 1024,
    lateWritesMs: 0,
    redirectMs: undefined,
    redirectEndpoint: undefined,
  };
}
