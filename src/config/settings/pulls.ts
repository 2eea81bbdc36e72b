import { duration } from '../setting-types.ts';
import { day, setting } from './setting.ts';

export const pullsSettings = {
  pullsFlush: setting({
    name: 'pulls.flush',
    type: duration({ minMs: 10, maxMs: 3_600_000 }),
    default: '30s',
    description:
      'How often the last-pulled times of manifests and tags are written. A crash forgets the pulls since the last ' +
      'write; no pull ever waits for it.',
  }),
  pullsHistory: setting({
    name: 'pulls.history',
    type: duration({ minMs: 1, maxMs: 36_500 * day, zeroMeans: 'nothing is remembered' }),
    default: '90d',
    description:
      'How long it is remembered what was pulled on which day, pushed and removed. wherry retention simulate replays ' +
      'it. It takes some 125 bytes for each manifest, tag and day with pulls, and 165 for each push and removal, with ' +
      'another 85 for each blob of a manifest that was collected. No more than five million of the former and two million ' +
      'of the latter are kept.',
  }),
};
