import { expect, test } from 'bun:test';
import { MetadataBusyError } from '../../src/metadata/store.ts';
import { digestOf, freshBytes } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { closeSession, expectPushed, openSession, patchChunk } from '../http/upload-client.ts';
import { FailingMetadata } from '../metadata/failing-metadata.ts';
import { startMinio } from './minio-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ s3: startMinio });

test('a database that is busy when an upload of a bucket is to be published leaves the upload as it is', async () => {
  const bucket = await storage.s3.newBucket();
  const failing: { next?: Error } = {};
  let isClosing = false;
  const put = async <T>(send: () => Promise<T>): Promise<T> => {
    const answer = await send();
    // It is asked next whose the upload is.
    if (isClosing) failing.next = new MetadataBusyError('the database cannot answer now');
    isClosing = false;
    return answer;
  };
  const settings = { blobs: `s3://${bucket.name}`, 's3.endpoint': storage.s3.endpoint };
  await using registry = await ServedRegistry.start(settings, { database: {}, blobs: {}, bucket: { put } });
  await registry.stop();
  registry.wrapMetadata = (metadata) => new FailingMetadata(metadata, failing);
  await registry.resume(settings);
  const session = await openSession(registry);
  const bytes = freshBytes(400);
  // More is to come: it lies in a piece.
  expect((await patchChunk(registry, session, bytes, '0-399')).status).toBe(202);
  isClosing = true;
  expect((await closeSession(registry, session, digestOf(bytes))).status).toBe(503);
  expect(registry.rows('select state, digest from object')).toEqual([{ state: 'pending', digest: null }]);
  await expectPushed(registry, await closeSession(registry, session, digestOf(bytes)), bytes);
}, 60_000);
