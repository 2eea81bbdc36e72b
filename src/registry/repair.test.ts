import { expect, test } from 'bun:test';
import { TestedStores } from '../../test/pairs/tested-stores.ts';
import { change, type Operation } from '../metadata/operation.ts';
import { insertPendingObject } from '../metadata/queries/objects.ts';
import { insertUpload } from '../metadata/queries/uploads.ts';
import { parseRepositoryName } from '../oci/names.ts';
import { dropAbandoned } from './repair.ts';

test('an object is given up once, and not while an upload writes to it', async () => {
  const repo = parseRepositoryName('team/app');
  if (repo === undefined) throw new Error('the name is one');
  await using stores = new TestedStores('repair');
  const metadata = await stores.metadata();
  const reclaimed: string[] = [];
  const registry = {
    metadata,
    clock: { now: () => 1000, monotonic: () => 1000 },
    reclaimer: { soon: (oid: string) => void reclaimed.push(oid) },
  };
  await metadata.write(function* open(): Operation<void> {
    for (const oid of ['taken', 'abandoned']) yield* change(insertPendingObject, { oid });
    yield* change(insertUpload, { id: 'upload', repo, oid: 'taken', algorithm: 'sha256', client: null, now: 0 });
  });
  expect(await dropAbandoned(registry, 'taken')).toBe(false);
  expect(await dropAbandoned(registry, 'abandoned')).toBe(true);
  expect(await dropAbandoned(registry, 'abandoned')).toBe(false);
  expect(await dropAbandoned(registry, 'gone')).toBe(false);
  expect(reclaimed).toEqual(['abandoned']);
});
