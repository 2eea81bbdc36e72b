import { afterAll, beforeAll, describe } from 'bun:test';
import { S3BlobStore } from '../../src/blobs/s3/store.ts';
import { describeBlobStore } from '../blobs/contract.ts';
import { type S3Server, startMinio } from './minio-server.ts';

let server: S3Server;

beforeAll(async () => {
  server = await startMinio();
  Object.assign(process.env, server.environment);
}, 600_000);

afterAll(async () => {
  await server.stop();
});

describe.each([
  ['in a bucket,', { isVersioned: false, knowsConditions: true }],
  ['in a bucket that keeps versions,', { isVersioned: true, knowsConditions: true }],
  ['in a bucket of a server that knows no conditions,', { isVersioned: false, knowsConditions: false }],
])('%s', (_, { isVersioned, knowsConditions }) => {
  describeBlobStore(async () => {
    const { settings } = await server.newBucket({ isVersioned });
    const open = () => S3BlobStore.open(settings, { knowsConditions: knowsConditions ? undefined : false });
    return { store: await open(), other: await open() };
  });
});
