import { duration } from '../setting-types.ts';
import { day, setting } from './setting.ts';

const window = duration({ minMs: 1, maxMs: 36_500 * day, zeroMeans: 'no time at all' });

export const retentionSettings = {
  retentionDelay: setting({
    name: 'retention.delay',
    type: duration({ minMs: 1, maxMs: day, zeroMeans: 'at once' }),
    default: '10s',
    description:
      'How soon after a change of a repository its retention policy is looked at again. Changes that come one after the ' +
      'other share a look.',
  }),
  retentionNotice: setting({
    name: 'retention.notice',
    type: window,
    default: '3d',
    description:
      'How long before a tag goes by its policy there is an event that says so. wherry retention upcoming shows it too.',
  }),
  retentionClockStep: setting({
    name: 'retention.clockStep',
    type: duration({ minMs: 1000, maxMs: 365 * day }),
    default: '10m',
    description: 'By how much the clock may be set at once: where it is set by more, nothing is pruned for a while.',
  }),
  retentionClockPause: setting({
    name: 'retention.clockPause',
    type: duration({ minMs: 1000, maxMs: 365 * day }),
    default: '1d',
    description:
      'How long nothing is pruned after the clock was set by more than that, unless it is set back, or somebody says ' +
      'wherry retention resume.',
  }),
};
