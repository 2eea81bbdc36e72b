import { expect, test } from 'bun:test';
import { addSample, type Samples } from './figures.ts';
import { sideBySide } from './table.ts';

const samplesOf = (push: readonly number[]): Samples => {
  const samples: Samples = new Map();
  for (const value of push) addSample(samples, 'pushMBs', value);
  return samples;
};

test('the table shows the median of each registry and how many times better the first one did', () => {
  const table = sideBySide([
    { name: 'ours', samples: samplesOf([600, 900, 750]) },
    { name: 'theirs', samples: samplesOf([250, 251, 100]) },
  ]);
  expect(table).toBe(
    [
      '|            | ours |      theirs |',
      '| ---------- | ---: | ----------: |',
      '| push, MB/s |  750 | 250 (3.00×) |',
    ].join('\n'),
  );
});

test('a registry that failed has an empty cell and does not disturb the others', () => {
  const table = sideBySide([
    { name: 'ours', samples: samplesOf([750]) },
    { name: 'theirs', samples: new Map() },
  ]);
  expect(table.split('\n').at(-1)).toBe('| push, MB/s |  750 |      – |');
});
