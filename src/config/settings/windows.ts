import { duration } from '../setting-types.ts';
import { day, setting } from './setting.ts';

const window = duration({ minMs: 1, maxMs: 36_500 * day, zeroMeans: 'no time at all' });

export const windowsSettings = {
  windowsLease: setting({
    name: 'windows.lease',
    type: window,
    default: '6h',
    description:
      'How long something that a client was told about stays put. It covers the time between a HEAD of a blob and the ' +
      'manifest that uses the blob: half of it at least after a HEAD, which renews only a lease that has less left, and ' +
      'all of it after a push or a mount. It is also how long a manifest stays that lost its last tag or index. Make it ' +
      'twice as long as your longest push.',
  }),
  windowsNeverTagged: setting({
    name: 'windows.neverTagged',
    type: window,
    default: '30d',
    description:
      'How long a manifest stays that was pushed by digest and is in no index and under no tag. It counts from its ' +
      'last push, pull or HEAD.',
  }),
  windowsTrash: setting({
    name: 'windows.trash',
    type: window,
    default: '72h',
    description: 'How long a deleted tag or manifest can be restored.',
  }),
  windowsCondemned: setting({
    name: 'windows.condemned',
    type: window,
    default: '10m',
    description:
      'How long bytes that nothing holds any more stay on the disk, or in the bucket, where it is 1h if it is not set. ' +
      'This is also how far back the database may be restored from a backup without missing blobs.',
  }),
  windowsAdopted: setting({
    name: 'windows.adopted',
    type: window,
    default: '30d',
    description:
      'How long bytes stay that a restored database did not know and wherry fsck --repair has adopted, unless they are ' +
      'pushed again.',
  }),
  windowsUpload: setting({
    name: 'windows.upload',
    type: window,
    default: '24h',
    description: 'How long an unfinished upload that nobody touches can be resumed.',
  }),
};
