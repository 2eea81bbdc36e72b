import { expect, test } from 'bun:test';
import { DirectoryBlobStore } from '../../src/blobs/directory/store.ts';
import { S3BlobStore } from '../../src/blobs/s3/store.ts';
import { first } from '../../src/metadata/operation.ts';
import { PostgresMetadataStore } from '../../src/metadata/postgres/store.ts';
import { knownGeneration } from '../../src/metadata/queries/store.ts';
import { systemClock } from '../../src/registry/clock.ts';
import { DatabaseOutdatedError, StoreGeneration } from '../../src/registry/store-generation.ts';
import { ManualClock } from '../server/manual-clock.ts';
import { TemporaryDirectory } from '../server/temporary-directory.ts';
import { startMinio } from './minio-server.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres, s3: startMinio });

test.each([
  ['knows', undefined],
  ['does not know', false],
])(
  'processes that begin to remove at once leave the generation at the greatest that the database has, where the bucket %s conditions',
  async (_, knowsConditions) => {
    const { settings } = await storage.s3.newBucket();
    const metadata = await PostgresMetadataStore.open(await storage.postgres.newDatabase());
    const processes = await Promise.all(
      Array.from({ length: 12 }, async () => {
        const blobs = await S3BlobStore.open(settings, { knowsConditions });
        return { blobs, generation: await StoreGeneration.open({ metadata, blobs, clock: systemClock }) };
      }),
    );
    await Promise.all(processes.map(({ generation }) => generation.beforeRemoval()));
    const known = await metadata.read(() => first(knownGeneration, {}));
    expect(known?.generation).toBe(12);
    expect(await processes[0]?.blobs.generation()).toBe(12);
    await metadata.close();
  },
);

test('a process that others share the database with sees that an older one has been put in its place, and lets nothing go', async () => {
  const metadata = await PostgresMetadataStore.open(await storage.postgres.newDatabase());
  using directory = new TemporaryDirectory('generations');
  try {
    const blobs = await DirectoryBlobStore.open(directory.path);
    const clock = new ManualClock();
    const generation = await StoreGeneration.open({ metadata, blobs, clock });
    await generation.beforeRemoval();
    await blobs.setGeneration(100);
    clock.advance(5_000);
    expect(await generation.beforeRemoval().catch((error: unknown) => error)).toBeInstanceOf(DatabaseOutdatedError);
    expect(generation.isDatabaseOutdated).toBe(true);
  } finally {
    await metadata.close();
  }
});
