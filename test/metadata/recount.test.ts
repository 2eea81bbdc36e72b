import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { change, type Operation, type SyncConnection } from '../../src/metadata/operation.ts';
import { insertPendingObject, makePendingObjectDead } from '../../src/metadata/queries/objects.ts';
import { addStored } from '../../src/metadata/queries/stored.ts';
import { recountStored, storedNow } from '../../src/registry/stored.ts';
import { forgetStoresBeside, openMetadata } from '../pairs/stores-beside.ts';
import { WrappedMetadata } from './wrapped-metadata.ts';

const oids = ['a', 'b', 'c'].map((digit) => digit.repeat(32));

/** A database in which something happens after each read. */
class BusyMetadata extends WrappedMetadata {
  after: () => Promise<void> = async () => undefined;

  protected watching(connection: SyncConnection): SyncConnection {
    return connection;
  }

  override async read<T>(operation: () => Operation<T>): Promise<T> {
    const result = await super.read(operation);
    await this.after();
    return result;
  }
}

test('what is stored is counted anew while more comes and other things go', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'wherry-recount-'));
  const metadata = new BusyMetadata(await openMetadata(directory));
  const [one = '', two = '', three = ''] = oids;
  try {
    for (const oid of [one, two]) await metadata.write(() => change(insertPendingObject, { oid }));
    await metadata.write(() => change(addStored, { state: 'pending', shard: 0, objects: 5, bytes: 100 }));
    await metadata.write(() => change(addStored, { state: 'live', shard: 0, objects: -1, bytes: -7 }));
    metadata.after = async () => {
      metadata.after = async () => undefined;
      await metadata.write(() => change(insertPendingObject, { oid: three }));
      await metadata.write(() => change(makePendingObjectDead, { oid: one }));
    };
    await recountStored({ metadata });
    expect(await storedNow({ metadata })).toEqual({
      pending: { objects: 2, bytes: 0 },
      live: { objects: 0, bytes: 0 },
      condemned: { objects: 0, bytes: 0 },
      dead: { objects: 1, bytes: 0 },
    });
  } finally {
    await metadata.close();
    forgetStoresBeside(directory);
    await rm(directory, { recursive: true });
  }
});
