import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { heldIn } from '../../test/storm/held-things.ts';
import { deleteImage } from './delete-cost.ts';
import { fillDirectory, imageOf, releaseImages, writeFiles } from './filled-directory.ts';
import { serveCounted } from './in-process.ts';

test('rows made for the bench are as the registry makes them: it collects the images, bytes included, to the last', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'wherry-bench-'));
  try {
    await fillDirectory(directory, 4);
    const images = [0, 1, 2, 3].map(imageOf);
    await writeFiles(directory, images);
    const violations = new Database(join(directory, 'wherry.db')).query('pragma foreign_key_check').all();
    expect(violations).toEqual([]);
    const [first, second, ...others] = images;
    if (first === undefined || second === undefined) throw new Error('there are no images');
    releaseImages(directory, others);
    await using registry = await serveCounted(directory);
    await registry.server.collector.workOff();
    expect(heldIn(directory)).toMatchObject({ manifest: 2, tag: 2, object: 5, files: 4, tasks: 0 });
    const cost = await deleteImage(registry, first);
    expect(cost.statements).toBeGreaterThan(10);
    expect(cost.rows).toBeGreaterThan(10);
    await deleteImage(registry, second);
    // The base layer's file was not written: nothing is deleted in the benches that holds it last.
    expect(new Set(Object.values(heldIn(directory)))).toEqual(new Set([0]));
  } finally {
    await rm(directory, { recursive: true });
  }
});
