import { expect, test } from 'bun:test';
import { directoryCalls } from '../../src/blobs/directory/calls.ts';
import { MetadataFullError } from '../../src/metadata/store.ts';
import { digestOf, freshBytes } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { closeSession, openSession, patchChunk } from '../http/upload-client.ts';
import { FailingMetadata } from '../metadata/failing-metadata.ts';

test('a blob whose file has lost some of its bytes before its end is not acknowledged, and goes on from what is there', async () => {
  let isLosing = false;
  const write = (sink: Bun.FileSink, chunk: Uint8Array): number | Promise<number> =>
    isLosing ? chunk.byteLength : directoryCalls.write(sink, chunk);
  await using registry = await ServedRegistry.start({}, { database: {}, blobs: { write } });
  const bytes = freshBytes(1000);
  const session = await openSession(registry);
  await patchChunk(registry, session, bytes.subarray(0, 400));
  isLosing = true;
  const refused = await closeSession(registry, session, digestOf(bytes), bytes.subarray(400));
  expect([refused.status, refused.headers.get('range')]).toEqual([416, '0-399']);
  isLosing = false;
  const closed = await closeSession(registry, session, digestOf(bytes), bytes.subarray(400));
  expect(closed.status).toBe(201);
});

test('a claim that the full database has undone cuts nothing off', async () => {
  await using registry = await ServedRegistry.start();
  await registry.stop();
  const failing: { next?: Error } = {};
  registry.wrapMetadata = (metadata) => new FailingMetadata(metadata, failing);
  await registry.resume();
  const session = await openSession(registry);
  const bytes = freshBytes(500);
  expect((await patchChunk(registry, session, bytes.subarray(0, 400))).status).toBe(202);
  const [{ oid } = { oid: '' }] = registry.rows<{ oid: string }>('select oid from object');
  // As of a process that has claimed the session since.
  await registry.objects.write(oid, bytes);
  failing.next = new MetadataFullError('the disk of the database is full');
  expect((await patchChunk(registry, session, bytes.subarray(400))).status).toBe(507);
  expect(await registry.objects.sizeBytes(oid)).toBe(500);
});
