import { resolve } from 'node:path';
import { bucketOf } from './blobs-place.ts';
import type { Config } from '../config/schema.ts';
import type { Places } from '../fsck/places.ts';

/** Where a check has to look for a registry. */
export function placesOf(config: Pick<Config, 'data' | 'metadata' | 'blobs' | 's3'>): Places {
  return {
    dataDirectory: resolve(config.data),
    database: config.metadata.kind === 'postgres' ? config.metadata.url : undefined,
    bucket: bucketOf(config),
  };
}
