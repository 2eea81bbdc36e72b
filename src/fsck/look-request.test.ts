import { expect, test } from 'bun:test';
import { lookRequest, type LookRequest } from './look-request.ts';

const onOneMachine: LookRequest = { dataDirectory: '/data', now: 5, rehash: undefined };
const bucket = {
  bucket: 'blobs',
  prefix: '',
  endpoint: undefined,
  region: 'eu-central-1',
  isPathStyle: false,
  profile: 'registry',
  encryption: { kind: 'aws:kms', key: undefined },
  storageClass: 'STANDARD_IA',
  partBytes: 5,
  lateWritesMs: 0,
  redirectMs: undefined,
  redirectEndpoint: undefined,
} as const;
const elsewhere: LookRequest = {
  dataDirectory: '/data',
  database: 'postgres://wherry:secret@db/wherry',
  bucket,
  now: 5,
  rehash: { bytesPerSecond: 7, from: '', isTrial: true },
};

test.each([onOneMachine, { ...onOneMachine, now: undefined }, elsewhere])(
  'what a process is asked to look at is what it reads',
  (request) => {
    expect(lookRequest.parse(JSON.parse(JSON.stringify(request)))).toEqual(request);
  },
);
