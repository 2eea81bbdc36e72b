import { duration } from '../setting-types.ts';
import { day, setting } from './setting.ts';

const window = duration({ minMs: 1, maxMs: 36_500 * day, zeroMeans: 'no time at all' });

export const eventsSettings = {
  eventsKeep: setting({
    name: 'events.keep',
    type: window,
    default: '90d',
    description:
      'How long it is remembered what was pushed, deleted, collected, restored, denied and the like, when, why and on ' +
      'whose word: [events.md](events.md) has all of it. What wherry explain says of things that are gone comes from there.',
  }),
};
