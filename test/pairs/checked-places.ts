import type { Places } from '../../src/fsck/fsck.ts';
import { testedBucket } from './pair.ts';
import { bucketSettings, storesBeside } from './stores-beside.ts';

/** Where a check has to look for the registry of a data directory, on the pair under test. */
export function placesBeside(directory: string): Places {
  return {
    dataDirectory: directory,
    database: storesBeside(directory).settings['metadata'],
    bucket: testedBucket === undefined ? undefined : bucketSettings(directory, testedBucket),
  };
}
