import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { change, type Operation } from '../metadata/operation.ts';
import { insertPendingObject } from '../metadata/queries/objects.ts';
import { insertUpload } from '../metadata/queries/uploads.ts';
import { SqliteMetadataStore } from '../metadata/sqlite/store.ts';
import { parseRepositoryName } from '../oci/names.ts';
import { dropAbandoned } from './repair.ts';

test('an object is given up once, and not while an upload writes to it', async () => {
  const repo = parseRepositoryName('team/app');
  if (repo === undefined) throw new Error('the name is one');
  const directory = mkdtempSync(join(tmpdir(), 'wherry-repair-'));
  const metadata = SqliteMetadataStore.open(directory);
  const reclaimed: string[] = [];
  const registry = {
    metadata,
    clock: { now: () => 1000, monotonic: () => 1000 },
    reclaimer: { soon: (oid: string) => void reclaimed.push(oid) },
  };
  try {
    await metadata.write(function* open(): Operation<void> {
      for (const oid of ['taken', 'abandoned']) yield* change(insertPendingObject, { oid });
      yield* change(insertUpload, { id: 'upload', repo, oid: 'taken', algorithm: 'sha256', client: null, now: 0 });
    });
    expect(await dropAbandoned(registry, 'taken')).toBe(false);
    expect(await dropAbandoned(registry, 'abandoned')).toBe(true);
    expect(await dropAbandoned(registry, 'abandoned')).toBe(false);
    expect(await dropAbandoned(registry, 'gone')).toBe(false);
    expect(reclaimed).toEqual(['abandoned']);
  } finally {
    await metadata.close();
    rmSync(directory, { recursive: true });
  }
});
