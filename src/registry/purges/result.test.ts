import { expect, test } from 'bun:test';
import { unreachedBy } from './result.ts';

test.each([true, false])(
  'a purge says whether the blob store may have kept versions out of its reach (%p)',
  (mayKeepRemoved) => {
    const nothing = {
      lateWritesMs: 0,
      responsesCut: 0,
      isCutAtLeast: false,
      oldPages: undefined,
      quarantined: 0,
      openUploads: 0,
      notHeededBy: [],
    };
    const words = unreachedBy({ ...nothing, mayKeepRemoved }).join('\n');
    expect(words.includes('s3:ListBucketVersions')).toBe(mayKeepRemoved);
  },
);
