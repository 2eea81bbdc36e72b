import { expect, test } from 'bun:test';
import { loadConfig } from '../config/load.ts';
import type { PlaceConfig } from '../moving/place.ts';
import { movedText } from './moved-text.ts';

async function placeWith(blobs: string): Promise<PlaceConfig> {
  const loaded = await loadConfig({
    configFile: undefined,
    flags: new Map([
      ['metadata', 'postgres://wherry@db.example/wherry'],
      ['blobs', blobs],
    ]),
    env: {},
    readFile: () => Promise.reject(new Error('there is none')),
  });
  if (!loaded.ok) throw new Error(loaded.problems.join(', '));
  return loaded.config;
}

const moved = { blobs: 1, blobBytes: 1, blobsThereBefore: 0, rows: 0, pausedMs: 0, damaged: [] };

test('a move from a bucket says what names that bucket on the other machines, and one from a directory need not', async () => {
  const [old, next, directory] = await Promise.all(
    ['s3://old/blobs', 's3://next/blobs', 'directory'].map((blobs) => placeWith(blobs)),
  );
  if (old === undefined || next === undefined || directory === undefined) throw new Error('all are there');
  const told = movedText(moved, { tookMs: 0, from: old, to: next });
  expect(told).toContain('  blobs: s3://next/blobs');
  expect(told).toContain('remove the file blobs-place');
  expect(movedText(moved, { tookMs: 0, from: directory, to: next })).not.toContain('blobs-place');
});
