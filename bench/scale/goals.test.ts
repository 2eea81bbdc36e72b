import { describe, expect, test } from 'bun:test';
import { barTable, isMissed } from '../bars.ts';
import { type GoalFigures, goalsOf } from './goals.ts';

const cluster = (writtenPerByte: number): GoalFigures => ({
  kind: 'cluster',
  processes: 1,
  manifestsPerSecond: 1,
  writtenPerByte,
});

describe('what is written to S3 for each byte pushed', () => {
  test.each([
    ['is within its goal', 1.01, 'yes'],
    ['is beyond it', 2, 'NO'],
    ['was not measured, as files in memory are written to no disk, and that is said', 0, 'not measured'],
  ])('%s', (_name, writtenPerByte, said) => {
    const goals = goalsOf([[cluster(writtenPerByte)]], []);
    expect(barTable([''], goals)).toContain(said);
    expect(goals.some(isMissed)).toBe(said === 'NO');
  });

  test('has no goal where nothing was pushed to S3', () => {
    expect(goalsOf([[]], [])).toEqual([]);
  });
});
