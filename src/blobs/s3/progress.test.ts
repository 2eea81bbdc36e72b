import { describe, expect, test } from 'bun:test';
import { type Progress, progressFor, sizeOf } from './progress.ts';

const standing: Progress = {
  epoch: 3,
  upload: { id: 'an id', token: 'a word' },
  parts: [{ etag: '"1"', sizeBytes: 100 }],
  pieces: [{ suffix: '.tail-1', sizeBytes: 20 }],
  stale: [],
  isDoubtful: false,
};

describe('the progress of an upload', () => {
  test('is nothing at the beginning', () => {
    expect(progressFor({ progress: '', epoch: 1 })).toMatchObject({ parts: [], pieces: [], isDoubtful: false });
  });

  test('is what the writer before has said', () => {
    expect(progressFor({ progress: JSON.stringify(standing), epoch: 4 })).toEqual(standing);
    expect(sizeOf(standing)).toBe(120);
  });

  test('is in doubt, and stays so, once a writer came between that has said nothing', () => {
    expect(progressFor({ progress: '', epoch: 2 }).isDoubtful).toBe(true);
    const later = progressFor({ progress: JSON.stringify(standing), epoch: 5 });
    expect(later.isDoubtful).toBe(true);
    expect(progressFor({ progress: JSON.stringify({ ...later, epoch: 5 }), epoch: 6 }).isDoubtful).toBe(true);
  });
});
