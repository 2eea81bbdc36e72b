import { choice, wholeNumber } from '../setting-types.ts';
import { setting } from './setting.ts';

export const collectorSettings = {
  collectorRun: setting({
    name: 'collector.run',
    type: choice(['on', 'off']),
    default: 'on',
    description:
      'Whether this process collects. Of several that share a PostgreSQL database some can be spared it, as long as others ' +
      'do: what is deleted goes by whichever of them does.',
  }),
  collectorRate: setting({
    name: 'collector.rate',
    type: wholeNumber({ min: 1, max: 1_000_000 }),
    default: '5000',
    description:
      'How many things the collector looks at in a second, at most. An image of ten layers is some twenty things. It ' +
      'works only when something may go.',
  }),
  collectorBatch: setting({
    name: 'collector.batch',
    type: wholeNumber({ min: 1, max: 64 }),
    default: '16',
    description: 'How many things the collector looks at before requests have their turn again.',
  }),
  collectorShare: setting({
    name: 'collector.share',
    type: wholeNumber({ min: 1, max: 100 }),
    default: '1',
    description:
      'How much of its time the collector works while requests come, in percent; it has all of it while none do. It is ' +
      'twice as much with every ten minutes that the collector is late, up to a half, and all where the disk is short.',
  }),
};
